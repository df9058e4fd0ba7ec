import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { Child } from "../../test/support/child.js";
import { scriptFolder, type ScriptFolder } from "../../test/support/run-script.js";

let scripts: ScriptFolder;
beforeAll(async () => {
  scripts = await scriptFolder("process", "http");
});
afterAll(() => scripts.remove());

it(
  "rule 33: a server that shuts down in a defer of main answers the requests that it has accepted",
  { timeout: 60_000 },
  async () => {
    // As in docs/process.md. The handler ends once the shutdown has begun.
    const child = new Child(process.execPath, [
      scripts.write(`
      const { createServer } = await import("node:http");
      await main(async function api(scope) {
        const server = createServer((request, response) => {
          const task = requestScope(request, response);
          response.write("accepted, ");
          scope.onCancel(() => sleep(task, 50).then(() => response.end("answered")));
        });
        const requests = serverScope(server);
        scope.defer(async () => {
          const { running, cancelled, stuck } = await requests.shutdown();
          log(running, cancelled, stuck.length);
        });
        server.listen(0, "127.0.0.1", () => log("port", server.address().port, "."));
        await sleep(scope, Infinity);
      });
    `),
    ]);
    try {
      await child.printed(" .");
      const [response] = (await once(get(`http://127.0.0.1:${child.output.split(" ")[1]}/`), "response")) as [
        IncomingMessage,
      ];
      child.kill("SIGTERM");
      expect(await text(response)).toBe("accepted, answered");
      expect(await child.ending()).toMatchObject({ code: 143, stderr: "" });
      expect(child.output).toContain("\n1 0 0\n");
    } finally {
      child.kill("SIGKILL");
    }
  },
);

/** Answers when it is told to by SIGUSR2, and closes what it uses in a defer of main's. */
const server = `
  const { createServer } = await import("node:http");
  const pool = { open: true };
  let finish;
  process.on("SIGUSR2", () => finish?.());
  const listen = async (server) => {
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    log("port", server.address().port, ".");
  };
  const make = () => createServer((request, response) => {
    requestScope(request, response);
    response.write("accepted, ");
    finish = () => response.end(pool.open ? "answered" : "too late");
  });
  const tryIt = async (server, port) => {
    const answer = await fetch("http://127.0.0.1:" + port).then((r) => r.status, (e) => e.cause?.code);
    log("a new connection:", answer);
  };
`;

function start(script: string): Child {
  const child = new Child(process.execPath, [scripts.write(server + script)]);
  onTestFinished(() => child.kill("SIGKILL"));
  return child;
}

/** Sends a request, and resolves with its body as it comes. */
async function ask(child: Child): Promise<IncomingMessage> {
  await child.printed(" .");
  const port = /port (\d+)/.exec(child.output)?.[1];
  const [response] = (await once(get(`http://127.0.0.1:${port}/`), "response")) as [IncomingMessage];
  return response;
}

describe("rule 33: main() and the servers of the process", { timeout: 60_000 }, () => {
  it.each([
    ["that nobody shuts down", "serverScope(server);"],
    [
      "that a defer shuts down",
      "scope.defer(async () => log('again', (await serverScope(server).shutdown()).running));",
    ],
    ["whose scope was made before main", "", "const early = make(); serverScope(early);"],
  ])(
    "at the first signal a server %s closes its listener, and answers what it has accepted before main's cleanups run",
    async (_name, body, before = "const early = undefined;") => {
      const child = start(`
        ${before}
        await main(async function api(scope) {
          const server = early ?? make();
          scope.defer(() => { pool.open = false; log("pool closed"); });
          ${body}
          await listen(server);
          const { port } = server.address() ?? {};
          scope.onCancel(({ kind }) => { log(kind, "listening:", server.listening); void tryIt(server, port); });
          await sleep(scope, Infinity);
        });
      `);
      const response = await ask(child);
      child.kill("SIGTERM");
      await child.printed("a new connection: ECONNREFUSED");
      expect(child.output).toContain("shutdown listening: false");
      expect(child.output).not.toContain("pool closed");
      child.kill("SIGUSR2");
      expect(await text(response)).toBe("accepted, answered");
      expect(await child.ending()).toMatchObject({ code: 143, stderr: "" });
      expect(child.output).toContain(body.includes("again") ? "again 1\npool closed\n" : "pool closed\n");
    },
  );

  it("a server stops accepting though other work of main takes time", async () => {
    const child = start(`
      await main(async function api(scope) {
        const server = make();
        const requests = serverScope(server, { grace: 500 });
        scope.defer(async () => { await requests.shutdown(); log("down"); });
        await listen(server);
        const { port } = server.address();
        const promise = new Promise((resolve) => process.once("SIGUSR2", resolve));
        spawn(scope, (own) => shield(own, { timeout: 10_000 }, async () => { await promise; log("job done"); }));
        scope.onCancel(() => setTimeout(() => void tryIt(server, port), 50));
        await sleep(scope, Infinity);
      });
    `);
    await child.printed(" .");
    child.kill("SIGTERM");
    await child.printed("a new connection: ECONNREFUSED");
    expect(child.output).not.toContain("job done");
    child.kill("SIGUSR2");
    expect(await child.ending()).toMatchObject({ code: 143, stderr: "" });
    expect(child.output).toContain("job done\ndown\n");
  });

  it("a failure closes the listener, too, and lets requests finish", async () => {
    const child = start(`
      await main(async function api(scope) {
        const server = make();
        serverScope(server);
        await listen(server);
        const { port } = server.address();
        scope.onCancel(() => void tryIt(server, port));
        await new Promise((resolve) => process.on("SIGALRM", resolve));
        throw new Error("no database");
      });
    `);
    const response = await ask(child);
    child.kill("SIGALRM");
    await child.printed("a new connection: ECONNREFUSED");
    child.kill("SIGUSR2");
    expect(await text(response)).toBe("accepted, answered");
    expect(await child.ending()).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("no database") as string,
    });
  });

  it("a body that returns leaves its server running", async () => {
    const child = start(`
      await main(async function api(scope) {
        const server = make();
        serverScope(server);
        await listen(server);
      });
      log("main is over");
    `);
    await child.printed("main is over");
    const response = await ask(child);
    child.kill("SIGUSR2");
    expect(await text(response)).toBe("accepted, answered");
  });

  it("a second signal forces the exit while requests have their grace period", async () => {
    const child = start(`
      await main(async function api(scope) {
        serverScope(make()); // one that never listens is no matter
        const server = make();
        serverScope(server, { grace: 60_000 });
        await listen(server);
        scope.onCancel(() => setTimeout(log, 500, "again"));
        await sleep(scope, Infinity);
      }, { grace: 60_000 });
    `);
    const response = await ask(child);
    response.on("error", () => undefined);
    child.kill("SIGTERM");
    await child.printed("again");
    child.kill("SIGTERM");
    const { code, stderr } = await child.ending();
    expect(code).toBe(143);
    expect(stderr).toContain("Exit forced by a second signal");
  });

  it.each(["an answer has begun", "a task of its request is stuck", "a job of the server is stuck"])(
    "rule 33: a forced exit names the requests and jobs that the servers wait for, where %s",
    async (what) => {
      const child = start(`
        await main(async function api(scope) {
          const server = make();
          const requests = serverScope(server, { grace: 10_000 });
          const never = () => new Promise(() => undefined);
          spawn(requests, async function refresh() { await never(); }, { daemon: true });
          server.on("request", (request, response) => {
            if (${JSON.stringify(what)}.startsWith("a task")) spawn(requestScope(request, response), async function query() { await never(); });
            if (${JSON.stringify(what)}.startsWith("a job")) spawn(requests, async function mail() { await never(); });
          });
          await listen(server);
          await sleep(scope, Infinity);
        }, { grace: 300 });
      `);
      const response = await ask(child);
      response.on("error", () => undefined);
      child.kill("SIGTERM");
      const { code, stderr } = await child.ending();
      response.destroy();
      expect(code).toBe(143);
      expect(stderr).toContain("server/GET / (its handler has not answered");
      expect(stderr.includes("server/GET //query (")).toBe(what.startsWith("a task"));
      expect(stderr.includes("server/mail (")).toBe(what.startsWith("a job"));
      expect(stderr).not.toMatch(/api.servers|refresh/);
    },
  );

  it("the scope of main announces the shutdown before anything is cancelled, and waits for the callbacks", async () => {
    const child = start(`
      await main(async function api(scope) {
        const tell = (...what) => log(...what, scope.draining, scope.cancelled, scope.drainSignal.aborted);
        scope.onShutdown(async (own) => {
          tell("callback", own.path);
          await new Promise((resolve) => setTimeout(resolve, 50));
          tell("callback is done");
        });
        scope.onCancel(() => tell("cancelled"));
        scope.defer(() => tell("cleanup"));
        tell("ready .");
        await sleep(scope, Infinity);
      });
    `);
    await child.printed(" .");
    child.kill("SIGINT");
    expect(await child.ending()).toMatchObject({ code: 130, stderr: "" });
    expect(child.output.split("\n").slice(0, -1)).toEqual([
      "ready . false false false",
      "callback api/onShutdown true false true",
      "cancelled true true true",
      "callback is done true true true",
      "cleanup true true true",
    ]);
  });

  it("drainDelay delays the cancellation; a consumer can finish its job", async () => {
    const child = start(`
      await main(async function api(scope) {
        while (!scope.draining) {
          log("a job .");
          await sleep(scope, 20);
        }
        log("out of jobs", scope.cancelled);
      }, { drainDelay: 60_000 });
    `);
    await child.printed(" .");
    child.kill("SIGTERM");
    const { code, stderr, stdout } = await child.ending();
    expect({ code, stderr }).toEqual({ code: 143, stderr: "" });
    expect(stdout).toContain("out of jobs false\n");
  });

  it("a callback that fails is a failure of main's", async () => {
    const child = start(`
      await main(async function api(scope) {
        scope.onShutdown(() => { throw "bad callback"; });
        log("ready .");
        await sleep(scope, Infinity);
      });
    `);
    await child.printed(" .");
    child.kill("SIGTERM");
    expect(await child.ending()).toMatchObject({ code: 1, stderr: "'bad callback'\n" });
  });
});
