import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const entry = fileURLToPath(new URL("../index.ts", import.meta.url));
const run = promisify(execFile);
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "bough-hold-"));
  await build({
    entryPoints: [entry],
    bundle: true,
    platform: "node",
    format: "esm",
    outfile: join(folder, "bough.mjs"),
    logLevel: "silent",
  });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

let programs = 0;

/** The output of a separate program. The program is killed if it does not end by itself. */
async function outputOf(body: string): Promise<string[]> {
  const file = join(folder, `program-${(programs += 1)}.mjs`);
  const imports = `import { close, createScope, selfCleaning, shield, sleep, spawn, ticker } from "./bough.mjs";
    import { Readable } from "node:stream";
    const forever = async (task) => { for (;;) await sleep(task, 3_600_000); };
    const HOUR = 3_600_000;`;
  writeFileSync(file, `${imports}\n${body}`);
  const { stdout } = await run(process.execPath, [file], { timeout: 30_000 });
  return stdout.trim().split("\n");
}

describe("the option holdsProcess: false", () => {
  it.each([
    ["a sleep", "spawn(scope, forever)"],
    ["a ticker", "spawn(scope, async (task) => { for await (const _ of ticker(task, HOUR)); })"],
    ["a deadline of a task", "spawn(scope, forever, { timeout: HOUR })"],
    ["a scope below", "spawn(createScope(scope, { timeout: HOUR, onOrphan: 'ignore' }), forever)"],
    ["a shielded sleep", "spawn(scope, (task) => shield(task, { timeout: HOUR }, forever))"],
  ])("lets a program end while there is %s", async (_, start) => {
    const body = `const scope = createScope({ holdsProcess: false });
      ${start}; selfCleaning((scope) => { ${start}; return {}; }, { holdsProcess: false }); console.log("done");`;
    expect(await outputOf(body)).toEqual(["done"]);
  });

  it("waits for a pending promise, step or stream that a method returned, then ends", async () => {
    const body = `
      class Feed {
        constructor(scope) { this.scope = scope; spawn(scope, forever); }
        async get() { await sleep(this.scope, 20); return "promise"; }
        start() { return spawn(this.scope, async (task) => { await sleep(task, 20); return "task"; }); }
        async *items() { await sleep(this.scope, 20); yield "item"; }
        stream() { const feed = this; return Readable.from((async function* () { await sleep(feed.scope, 20); yield "chunk"; })()); }
        web() { const feed = this; return new ReadableStream({ async pull(c) { await sleep(feed.scope, 20); c.enqueue("web"); c.close(); } }); }
      }
      const feed = selfCleaning((scope) => new Feed(scope), { holdsProcess: false });
      console.log(await feed.get());
      console.log(await feed.start());
      for await (const item of feed.items()) console.log(item);
      for await (const item of feed.stream()) console.log(item);
      for await (const item of feed.web()) console.log(item);
      feed.stream().on("data", console.log);`;
    expect(await outputOf(body)).toEqual(["promise", "task", "item", "chunk", "web", "chunk"]);
  });

  it("ends no worker in the middle of a close() that is awaited", async () => {
    const worker = `async (task) => { try { await sleep(task, HOUR); } finally {
      await shield(task, { timeout: HOUR }, (own) => sleep(own, 30)); console.log("flushed"); } }`;
    const body = `
      const scope = createScope({ holdsProcess: false });
      spawn(scope, ${worker});
      await scope.close();
      const parent = createScope();
      spawn(createScope(parent, { holdsProcess: false }), ${worker});
      await parent.close();
      const handle = selfCleaning((scope) => { spawn(scope, ${worker}); return {}; }, { holdsProcess: false });
      await close(handle);
      const joined = createScope({ holdsProcess: false });
      spawn(joined, (task) => sleep(task, 30));
      await joined.join();
      console.log("closed");`;
    expect(await outputOf(body)).toEqual(["flushed", "flushed", "flushed", "closed"]);
  });

  it("can be reversed by holdsProcess: true in a child scope, and is not the default", async () => {
    const body = `
      const scope = createScope({ holdsProcess: false });
      spawn(createScope(scope, { holdsProcess: true, onOrphan: "ignore" }), async (task) => { await sleep(task, 20); console.log("held"); });
      spawn(createScope({ onOrphan: "ignore" }), async (task) => { await sleep(task, 40); console.log("by default"); });`;
    expect(await outputOf(body)).toEqual(["held", "by default"]);
  });
});
