import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { anywhere, runtimes } from "./support/runtimes.js";

// On Bun, the reactions to promises and the exchanges of requests are used again. Nothing of one task or request may reach
// another one. The programs must do the same everywhere.

const tasks = `
  import { createScope, spawn } from "./index.ts";
  const scope = createScope({ supervise: true, onError: () => undefined });
  const gates = Array.from({ length: 700 }, () => Promise.withResolvers?.() ?? deferred());
  function deferred() {
    let resolve, reject;
    const promise = new Promise((a, b) => { resolve = a; reject = b; });
    return { promise, resolve, reject };
  }
  const seen = [];
  const work = async (index) => {
    const value = await gates[index].promise;
    // Starts a task while the reaction to another one runs.
    return (await spawn(scope, async () => value)) * 2;
  };
  const one = (index) => spawn(scope, () => work(index)).then(
    (value) => seen.push(index + ":" + value),
    (error) => seen.push(index + ":" + error.message),
  );
  const all = [];
  for (let round = 0; round < 3; round++) {
    for (let index = 0; index < 700; index++) all.push(one(index));
    // From both ends, and every seventh fails.
    if (round > 0) continue;
    const order = gates.map((_, index) => (index % 2 === 0 ? index / 2 : 699 - (index - 1) / 2));
    for (const index of order) {
      if (index % 7 === 3) gates[index].reject(new Error("no " + index));
      else gates[index].resolve(index);
    }
    await Promise.all(all);
  }
  await Promise.all(all);
  const wrong = seen.filter((text) => {
    const [index, outcome] = text.split(":");
    return outcome !== (index % 7 === 3 ? "no " + index : String(index * 2));
  });
  // A promise with a getter for \`then\`, which returns another function the second time. That one calls back twice.
  const callBacks = [];
  const rude = () => {
    const promise = Promise.resolve("native");
    let reads = 0;
    const then = (resolve) => { callBacks.push(resolve); resolve("first"); };
    Object.defineProperty(promise, "then", { get: () => (reads++ === 0 ? Promise.prototype.then : then) });
    return promise;
  };
  spawn(scope, rude);
  for (let turn = 0; turn < 20; turn++) await null;
  const gate = deferred();
  const other = spawn(scope, () => gate.promise);
  for (const resolve of callBacks) resolve("second");
  gate.resolve("own");
  console.log(JSON.stringify({ seen: seen.length, wrong, other: await other }));
`;

const requests = `
  import { spawn } from "./index.ts";
  import { fetchBough, requestScope } from "./web/index.ts";
  const pending = new Map();
  const server = { requestIP: () => null };
  const app = {
    async fetch(request) {
      const path = new URL(request.url).pathname;
      await null;
      if (path.startsWith("/slow")) await new Promise((resolve) => pending.set(path, resolve));
      if (path.startsWith("/fail")) throw new Error(path);
      return new Response(path);
    },
  };
  const handle = fetchBough(app, { onError: () => undefined });
  const request = (path) => new Request("http://localhost" + path);
  const ask = async (path) => {
    const asked = request(path);
    try {
      return (await (await handle(asked, server)).text()) === path;
    } catch (error) {
      return error.message === path;
    }
  };
  // Many at once, of which some end long after the others.
  const answers = [];
  for (let index = 0; index < 900; index++) answers.push(ask(["/quick", "/slow", "/fail"][index % 3] + index));
  for (let turn = 0; turn < 20; turn++) await null;
  for (let index = 0; index < 900; index++) answers.push(ask("/again" + index));
  for (const resolve of pending.values()) resolve();
  const wrong = (await Promise.all(answers)).filter((isRight) => !isRight).length;

  // A request that has ended has a closed scope of its own name, though another one is being served.
  const old = request("/old");
  await handle(old, server);
  const current = request("/slow-current");
  const answer = handle(current, server);
  for (let turn = 0; turn < 20; turn++) await null;
  const scope = requestScope(old);
  const late = [scope.name, scope.state, requestScope(old) === scope, requestScope(current).name];
  let refused;
  try {
    spawn(scope, async () => undefined);
  } catch (error) {
    refused = error.name;
  }
  pending.get("/slow-current")();
  late.push(await (await answer).text(), refused);

  // A router may wrap the request. A wrapped old request is still the old one.
  const wrappers = [(wrapped) => new Proxy(wrapped, {}), (wrapped) => Object.create(wrapped)];
  const wrapped = [];
  const wrapping = fetchBough({
    async fetch(current) {
      await null;
      if (current.url.endsWith("/first")) return new Response("first");
      for (const wrap of wrappers) {
        const scope = requestScope(wrap(current));
        wrapped.push(scope.state, scope === requestScope(current), requestScope(wrap(early)).state);
      }
      return new Response("done");
    },
  });
  const early = request("/first");
  await wrapping(early, server);
  await wrapping(request("/second"), server);

  // The same request once more.
  const twice = request("/twice");
  const same = [await (await handle(twice, server)).text(), await (await handle(twice, server)).text()];

  // A thenable that calls back twice, the second time while another request is being served.
  let callBack;
  const rude = fetchBough({
    fetch(request) {
      if (request.url.endsWith("/rude")) return { then(resolve) { callBack = resolve; resolve(new Response("first")); } };
      return app.fetch(request);
    },
  });
  const first = await (await rude(request("/rude"), server)).text();
  const other = rude(request("/slow-other"), server);
  for (let turn = 0; turn < 20; turn++) await null;
  callBack(new Response("second"));
  pending.get("/slow-other")();
  const thenable = [first, await (await other).text()];

  const report = await handle.shutdown({ grace: 1_000 });
  console.log(JSON.stringify({ wrong, late, wrapped, same, thenable, running: report.running }));
`;

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "bough-reuse-"));
  const resolveDir = fileURLToPath(new URL("../src", import.meta.url));
  for (const [name, contents] of Object.entries({ tasks, requests })) {
    const outfile = join(folder, `${name}.mjs`);
    await build({ ...anywhere, stdin: { contents, resolveDir, loader: "ts" }, outfile });
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const hosts = runtimes().filter(({ host }) => host !== "browser");

describe.each(hosts.map((runtime) => ({ ...runtime })))("what is used again, on $label", ({ run }) => {
  const reportOf = async (program: string): Promise<unknown> =>
    JSON.parse((await run?.(join(folder, `${program}.mjs`))) ?? "");

  it.skipIf(run === undefined)("gives each task its own outcome", { timeout: 60_000 }, async () => {
    expect(await reportOf("tasks")).toEqual({ seen: 2100, wrong: [], other: "own" });
  });

  it.skipIf(run === undefined)(
    "gives each request its own response and scope",
    { timeout: 60_000 },
    async () => {
      expect(await reportOf("requests")).toEqual({
        wrong: 0,
        late: ["GET /old", "closed", true, "GET /slow-current", "/slow-current", "ScopeClosedError"],
        wrapped: ["open", true, "closed", "open", true, "closed"],
        same: ["/twice", "/twice"],
        thenable: ["first", "/slow-other"],
        running: 0,
      });
    },
  );
});
