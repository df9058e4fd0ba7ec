import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { anywhere, runtimes } from "./support/runtimes.js";

// The bodies that need not be read, as their host shows that they are complete. A stream must never be among them.

const program = `
  import { isComplete } from "./complete-body.ts";
  const { Bun } = globalThis;
  const stream = () => new ReadableStream({ pull: (controller) => controller.enqueue(new TextEncoder().encode("x".repeat(100))) });
  const headers = { "content-type": "text/plain", "content-length": "100000", "x-long": "y".repeat(1000) };
  const init = { status: 404, statusText: "Missing", headers };
  const read = new Response(stream());
  const reader = read.body.getReader();
  await reader.read();
  reader.releaseLock();
  const cloned = new Response(stream());
  const opened = new Response(stream());
  void opened.body;
  const streams = {
    stream: new Response(stream()), "with headers": new Response(stream(), init), read, opened, cloned, clone: cloned.clone(),
    teed: new Response(stream().tee()[0]), piped: new Response(stream().pipeThrough(new TransformStream())),
    "of a stream's": new Response(new Response(stream()).body, init),
  };
  const others = { empty: new Response(null), error: Response.error(), redirect: Response.redirect("http://localhost/"), nothing: undefined };
  const complete = { text: new Response("hello"), json: Response.json({ a: 1 }), bytes: new Response(new Uint8Array(3)), "with headers": new Response("hello", init) };
  if (Bun !== undefined) {
    const upstream = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(stream()) });
    const fetched = await fetch(upstream.url);
    await Bun.sleep(20); // it receives some of it
    Object.assign(streams, {
      fetched, "of a fetched one": new Response((await fetch(upstream.url)).body), file: new Response(Bun.file("/etc/passwd")),
      generator: new Response((async function* () { yield "a"; })()),
    });
    complete.clone = Response.json({ a: 1 }).clone();
  }
  const among = (responses) => Object.keys(responses).filter((name) => isComplete(responses[name]));
  console.log(JSON.stringify({ streams: among(streams), others: among(others), complete: among(complete) }));
  globalThis.process?.exit?.(0);
`;

/** The responses of a host with a text, JSON, bytes, and a text with headers. */
const shown: Readonly<Record<string, readonly string[]>> = {
  bun: ["text", "json", "bytes", "with headers", "clone"],
  deno: ["text", "json", "bytes"],
  node: [],
};

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "bough-bodies-"));
  await build({
    stdin: {
      contents: program,
      resolveDir: fileURLToPath(new URL("../src/web", import.meta.url)),
      loader: "ts",
    },
    outfile: join(folder, "program.mjs"),
    ...anywhere,
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const hosts = runtimes().filter(({ host }) => host in shown);

describe.each(hosts.map((runtime) => ({ ...runtime })))("rule 35 on $label", ({ host, run }) => {
  it.skipIf(run === undefined)(
    "the bodies that are known to be complete are",
    { timeout: 60_000 },
    async () => {
      const report: unknown = JSON.parse((await run?.(join(folder, "program.mjs"))) ?? "");
      expect(report).toEqual({ streams: [], others: [], complete: shown[host] });
    },
  );
});
