import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { RawConnection, type Answer, type RequestInput } from "./support/http-clients.js";
import {
  ask,
  bundleHosts,
  fateOf,
  webHosts,
  type Form,
  type HostName,
  type RunningHost,
} from "./support/web-hosts.js";
import type { Fate } from "./web-hosts/app.js";

// Every way in which a request can end, over real sockets, on every host that is installed. The table of docs/web.md says
// which of them a host shows; the rows here have the titles of its rows.

interface Scene {
  /** The row of the table. */
  readonly row: string;
  readonly path: string;
  readonly input?: Omit<RequestInput, "path">;
  /** When the client leaves: in the body, a while after the handler has begun to wait, or never. */
  readonly leaves?: "in the body" | "in the handler";
  /** The answer that the client gets; `undefined` if it gets none. */
  readonly answer?: Partial<Answer> | undefined;
  /** The end of the scope. */
  readonly fate: Partial<Fate>;
}

const finished: Partial<Fate> = { state: "closed", errors: 0 };
const ended = (kind: string, status?: number): Partial<Fate> => ({
  state: "closed",
  kind,
  ...(status === undefined ? {} : { status }),
});
const gone = ended("disconnected", 499);
const post = (body: string): Omit<RequestInput, "path"> => ({ method: "POST", body });
const upgrade = {
  headers: {
    connection: "upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  },
};

const scenes: readonly Scene[] = [
  {
    row: "the handler returns a response",
    path: "text",
    answer: { status: 200, body: "hello", complete: true },
    fate: finished,
  },
  {
    row: "… whose tasks have ended",
    path: "used",
    answer: { status: 200, body: '{"sum":3}', complete: true },
    fate: finished,
  },
  {
    row: "… while tasks are running",
    path: "left",
    answer: { body: "left", complete: true },
    fate: ended("closed"),
  },
  {
    row: "… without a body",
    path: "empty",
    answer: { status: 200, body: "", complete: true },
    fate: finished,
  },
  { row: "… with status 204", path: "204", answer: { status: 204, body: "" }, fate: finished },
  { row: "… with status 304", path: "304", answer: { status: 304, body: "" }, fate: finished },
  {
    row: "… to a HEAD",
    path: "used",
    input: { method: "HEAD" },
    answer: { status: 200, body: "" },
    fate: finished,
  },
  {
    row: "… after it has read the upload",
    path: "body",
    input: post("hello"),
    answer: { body: "hello", complete: true },
    fate: finished,
  },
  {
    row: "… whose body is a stream",
    path: "stream",
    answer: { status: 200, body: "abc", complete: true },
    fate: finished,
  },
  {
    row: "… whose scope is unused",
    path: "untouched",
    answer: { body: "ab", complete: true },
    fate: { ...finished, notes: [] },
  },
  {
    row: "… of known length, complete at once",
    path: "used",
    answer: { headers: expect.objectContaining({ "content-length": "9" }) as Record<string, string> },
    fate: finished,
  },
  {
    row: "… of known length, whose body is a stream",
    path: "length",
    answer: {
      headers: expect.objectContaining({ "content-length": "6" }) as Record<string, string>,
      body: "abcdef",
    },
    fate: finished,
  },
  {
    row: "… of known length, sent completely before the stream ends",
    path: "length-late",
    answer: { body: "abc", complete: true },
    fate: finished,
  },
  {
    row: "the client disconnects while the handler is running",
    path: "hang",
    leaves: "in the handler",
    fate: gone,
  },
  {
    row: "… during its upload",
    path: "upload",
    input: { method: "POST", body: "abc", length: 10 },
    leaves: "in the handler",
    fate: gone,
  },
  {
    row: "… after its upload, which the handler has read",
    path: "body-hang",
    input: post("a".repeat(100_000)),
    leaves: "in the handler",
    fate: gone,
  },
  { row: "… while the response is streaming", path: "endless", leaves: "in the body", fate: gone },
  { row: "… while the response is streaming but idle", path: "idle", leaves: "in the body", fate: gone },
  {
    row: "the timeout expires, and the handler fails because of it",
    path: "deadline",
    answer: { status: 503, complete: true },
    fate: ended("deadline", 503),
  },
  {
    row: "… and the caller had sent the deadline",
    path: "deadline",
    input: { headers: { "x-request-timeout-ms": "5" } },
    answer: { status: 504, complete: true },
    fate: ended("deadline", 504),
  },
  {
    row: "… and the handler responds at once",
    path: "deadline-own",
    answer: { status: 200, body: "mine" },
    fate: ended("deadline"),
  },
  {
    row: "… and the handler ignores its signal",
    path: "deadline-ignored",
    answer: { status: 503 },
    fate: ended("deadline", 503),
  },
  {
    row: "… after the response was started",
    path: "deadline-stream",
    answer: { status: 200, body: "a", complete: false },
    fate: ended("deadline", 503),
  },
  {
    row: "… after the response was started, and the body fails because of it",
    path: "deadline-source",
    answer: { status: 200, body: "a", complete: false },
    fate: ended("deadline", 503),
  },
  {
    row: "a call exceeds its own timeout",
    path: "call",
    answer: { status: 504 },
    fate: ended("failure", 504),
  },
  { row: "the handler fails", path: "fail", answer: { status: 500 }, fate: { ...finished, notes: [] } },
  {
    row: "a task fails",
    path: "fail-task",
    answer: { status: 500 },
    fate: { ...ended("failure"), errors: 1 },
  },
  {
    row: "the body fails",
    path: "fail-body",
    answer: { status: 200, body: "a", complete: false },
    fate: { ...ended("failure"), errors: 1 },
  },
  {
    row: "the request is upgraded",
    path: "upgrade",
    input: upgrade,
    answer: { status: 101 },
    fate: finished,
  },
  {
    row: "… after the handler has waited",
    path: "upgrade-late",
    input: upgrade,
    answer: { status: 101 },
    fate: finished,
  },
];

/** The cells of the table: by row, by host. */
function readTable(): Map<string, Map<string, string>> {
  const text = readFileSync(new URL("../../../docs/web.md", import.meta.url), "utf8");
  const lines = text.split("\n").filter((line) => line.startsWith("|"));
  const cells = (line: string): string[] =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
  const start = lines.findIndex((line) => line.includes("node-server") && line.includes("workerd"));
  const columns = cells(lines[start] ?? "");
  const table = new Map<string, Map<string, string>>();
  for (const line of lines.slice(start + 2)) {
    const row = cells(line);
    table.set(
      (row[0] ?? "").replaceAll("**", ""),
      new Map(columns.map((column, index) => [column, row[index] ?? ""])),
    );
  }
  return table;
}

const table = readTable();

it("the table of docs/web.md has the rows that are tested", () => {
  expect([...table.keys()]).toEqual([...scenes.map(({ row }) => row), "the server shuts down"]);
});

let bundles: { readonly folder: string; readonly remove: () => void };
beforeAll(async () => void (bundles = await bundleHosts()));
afterAll(() => bundles.remove());

const forms: Partial<Record<HostName, readonly Form[]>> = {
  "node-server": ["plain", "hono", "given", "middleware"],
  srvx: ["plain"],
};
const cases = webHosts().flatMap((host) =>
  (forms[host.name] ?? ["plain", "hono", "given"]).map((form) => ({ ...host, form })),
);

for (const { name, label, form, start } of cases)
  describe.skipIf(start === undefined)(`rule 35: ${label}, ${form}`, () => {
    let host: RunningHost;
    let count = 0;
    beforeAll(async () => {
      if (start !== undefined) host = await start(form, bundles.folder);
    });
    afterAll(() => host.stop());

    it.concurrent.each(form === "given" ? withoutOptions(name) : scenes)("$row", async (scene) => {
      const expected = table.get(scene.row)?.get(name);
      const id = String(++count);
      const patience = expected === "yes" ? 15_000 : 2_000;
      const answer = await play(host.port, id, scene, patience);
      const expectedName = `${scene.input?.method ?? "GET"} /${id}/${scene.path}`;
      const { name: scopeName = expectedName, ...fate } = (await fateOf(host.port, id, patience)) ?? {};
      expect(scopeName).toBe(expectedName); // read after the end: Bun has forgotten the URL of some requests then
      const outcome = { answer, fate: { kind: null, status: null, ...fate } };
      expect(outcome).toEqual(patternOf(scene, expected === "yes"));
    });

    it("the server shuts down, and nothing else was printed as an error", async () => {
      const hanging = new RawConnection(host.port);
      const { answer } = hanging.request({ path: "/last/hang" });
      await expect.poll(() => ask(host.port, "/fates/last")).toMatchObject({ state: "open" });
      const errors = (await ask(host.port, "/errors")) as string[];
      expect(errors.filter((text) => !isOwn(text, name))).toEqual([]);
      expect(host.output().includes("legacy behavior")).toBe(name === "Deno" && form !== "given");
      const shutDown = new RawConnection(host.port);
      const works = table.get("the server shuts down")?.get(name) === "yes";
      if (works) await shutDown.request({ path: "/shutdown" }).answer;
      else hanging.socket.destroy();
      expect((await answer)?.status).toBe(works ? 503 : undefined);
      shutDown.socket.destroy();
      hanging.socket.destroy();
    });
  });

/** The scenes of an application without options: no request has a deadline, and no hook is called. */
function withoutOptions(host: HostName): readonly Scene[] {
  return scenes
    .filter(
      ({ row }) => table.get(row)?.get(host) === "yes" && row !== "… and the caller had sent the deadline",
    )
    .map(({ fate, ...scene }) => {
      const { status, ...visible } = fate;
      return { ...scene, fate: status === undefined ? fate : visible };
    });
}

/** The expected outcome of a scene. A host with another outcome is listed in the table. */
function patternOf({ answer, fate }: Scene, isShown: boolean): unknown {
  const pattern: Record<string, unknown> = { fate: contains({ kind: null, status: null, ...fate }) };
  if (answer !== undefined) pattern["answer"] = contains(answer);
  const matchers = isShown ? expect : expect.not;
  return matchers.objectContaining(pattern);
}

function contains(part: object): unknown {
  return expect.objectContaining(part);
}

/** Whether what was printed is a failure that was planted, a body that bough has broken off, or what the table says of a host. */
function isOwn(text: string, name: HostName): boolean {
  if (name === "workerd" && text.includes("Network connection lost")) return true;
  return text.includes("planted failure") || /timed out after (20|150) ms/.test(text);
}

async function play(
  port: number,
  id: string,
  { path, input, leaves }: Scene,
  patience: number,
): Promise<Answer | undefined> {
  const connection = new RawConnection(port);
  const exchange = connection.request({ ...input, path: `/${id}/${path}` });
  if (leaves === "in the body") await exchange.started;
  if (leaves === "in the handler") {
    const isWaiting = async (): Promise<boolean> =>
      ((await ask(port, `/notes/${id}`)) as string[]).includes("waiting");
    await vi.waitUntil(isWaiting, 30_000); // a busy machine may take longer to call the handler than any delay here
    await new Promise((resolve) => setTimeout(resolve, 150)); // by then, the client is watched on every host
  }
  if (leaves !== undefined) exchange.abort();
  const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), patience));
  const answer = await Promise.race([exchange.answer, late]);
  connection.socket.destroy();
  return answer;
}
