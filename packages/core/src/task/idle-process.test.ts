import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nodes } from "../../test/support/nodes.js";
import { scriptFolder, type ScriptFolder } from "../../test/support/run-script.js";

let folder: ScriptFolder;

beforeAll(async () => {
  folder = await scriptFolder("process");
});

afterAll(() => folder.remove());

const prelude = `
  const HOUR = 3_600_000;
  const forever = async (task) => { for (;;) await sleep(task, HOUR); };
  const make = (worker, options) => selfCleaning((scope) => { spawn(scope, worker); return { scope }; }, { onOrphan: "ignore", ...options });
  process.on("exit", (code) => log("exit", code));
`;

/** The output of a program that ends by itself. */
async function linesOf(source: string, node?: string): Promise<string[]> {
  const { stdout } = await folder.run(prelude + source, { node });
  return stdout.trim().split("\n");
}

describe("rule 21: a program that has no other work", () => {
  for (const { label, path } of nodes()) {
    it.skipIf(path === undefined)(
      `ends although a worker of a dropped object sleeps, on ${label}`,
      async () => {
        expect(await linesOf(`make(forever); log("done");`, path)).toEqual(["done", "exit 0"]);
      },
    );
  }

  it.each([
    ["a ticker", "make(async (task) => { for await (const _ of ticker(task, HOUR)); })"],
    ["a select with a time limit", "make((task) => select(task, { a: createChannel(), b: HOUR }))"],
    ["a deadline", "make(() => new Promise(() => {}), { timeout: HOUR })"],
    ["a deadline of a task", "make((task) => { spawn(task, forever, { timeout: HOUR }); })"],
    [
      "a retry that waits",
      "make((task) => retry(task, () => { throw 1; }, { minDelay: HOUR, maxDelay: HOUR, attempts: 3 }))",
    ],
    ["a scope below", "make((task) => { spawn(createScope(task, { timeout: HOUR }), forever); })"],
    ["two objects that hold each other", "const a = make(forever); a.b = make(forever); a.b.a = a"],
  ])("ends although the worker of a dropped object waits for %s", async (_, start) => {
    expect(await linesOf(`(() => { ${start}; })(); log("done");`)).toEqual(["done", "exit 0"]);
  });

  it("runs the cleanups of the dropped object to their end, and warns", async () => {
    const { stdout, output } = await folder.run(`${prelude}
      (() => selfCleaning(function buildCache(scope) {
        scope.defer(() => log("flushed"));
        spawn(scope, async (task) => {
          try { await forever(task); } finally { await shield(task, { timeout: HOUR }, (own) => sleep(own, 30)); log("stopped"); }
        });
        return {};
      }))();`);
    expect(stdout.trim().split("\n")).toEqual(["stopped", "flushed", "exit 0"]);
    expect(output).toContain('Scope "buildCache" was dropped without being closed and has been cancelled');
  });

  it("runs as long as the object is held: its sleeps, tickers, time limits and deadlines keep it alive", async () => {
    const lines = await linesOf(`globalThis.held = [
        make(async (task) => { await sleep(task, 40); await sleep(task, 20); log("slept"); }),
        make(async (task) => { for await (const _ of ticker(task, 90)) break; log("ticked"); }),
        make(async (task) => log((await select(task, { channel: createChannel(), limit: 120 })).key)),
        make((task) => new Promise((resolve) => task.onCancel(resolve)).then(() => log("deadline")), { timeout: 150 }),
      ];`);
    expect(lines.pop()).toBe("exit 0");
    expect(lines.toSorted()).toEqual(["deadline", "limit", "slept", "ticked"]); // a busy machine may mix them up
  });

  it.each([
    ["an awaited method", "log(await feed().get());"],
    ["an awaited task", "log(await feed().start());"],
    ["a loop over what a method returned", "for await (const item of feed().items()) log(item);"],
    ["an awaited close()", "await close(feed()); log('item');"],
    [
      "a listener of a signal elsewhere",
      "const kept = feed(); process.on('SIGUSR2', () => kept); feed.last.then(log);",
    ],
  ])("waits for %s of an object with no other reference", async (_, use) => {
    const body = `
      class Feed {
        constructor(scope) { this.scope = scope; feed.last = spawn(scope, async (task) => { await sleep(task, 50); return "item"; }); }
        async get() { await sleep(this.scope, 50); return "item"; }
        start() { return spawn(this.scope, async (task) => { await sleep(task, 50); return "item"; }); }
        async *items() { await sleep(this.scope, 50); yield "item"; }
      }
      const feed = () => selfCleaning((scope) => new Feed(scope), { onOrphan: "ignore" });
      ${use}`;
    expect(await linesOf(body)).toEqual(["item", "exit 0"]);
  });

  it("with holdsProcess: true waits for the workers of dropped objects, as for those of createScope()", async () => {
    expect(
      await linesOf(`make(async (task) => { await sleep(task, 30); log("held"); }, { holdsProcess: true });
        spawn(createScope({ onOrphan: "ignore" }), async (task) => { await sleep(task, 60); log("a scope"); });`),
    ).toEqual(["held", "a scope", "exit 0"]);
  });

  it("does not wait for an object with holdsProcess: false after a result of it has called back twice", async () => {
    expect(
      await linesOf(`const held = globalThis.held = selfCleaning((scope) => {
          spawn(scope, forever);
          return { ask: (ms) => ({ cancel() {}, then(done) { setTimeout(() => { done(ms); done(ms); }, ms); } }) };
        }, { holdsProcess: false });
        log(await held.ask(1), await Promise.all([held.ask(2), held.ask(3)]));`),
    ).toEqual(["1 [ 2, 3 ]", "exit 0"]);
  });

  it("does not wait for a held object with holdsProcess: false, nor for its scopes below", async () => {
    expect(
      await linesOf(`globalThis.held = make((task) => { spawn(createScope(task), forever); }, { holdsProcess: false });
        globalThis.other = make(async (task) => { spawn(createScope(task, { holdsProcess: false }), forever); await sleep(task, 30); log("slept"); });`),
    ).toEqual(["slept", "exit 0"]);
  });

  it.each([
    ["createScope()", "globalThis.parent = createScope(); begin(globalThis.parent);"],
    ["a task", "globalThis.parent = createScope(); spawn(globalThis.parent, (task) => begin(task));"],
    ["withScope()", "await withScope((scope) => void begin(scope));"],
    ["another object", "globalThis.parent = selfCleaning((scope) => (begin(scope), {}));"],
    ["main()", "await main((scope) => void begin(scope));"],
    [
      "main(), after its last task",
      "await main((scope) => (begin(scope), void spawn(scope, (task) => sleep(task, 5))));",
    ],
  ])("finds the dropped object below %s", async (_, start) => {
    const lines = await linesOf(`
      const begin = (parent) => void selfCleaning(parent, (scope) => {
        spawn(scope, async (task) => { try { await forever(task); } finally { log("stopped"); } });
        return {};
      }, { onOrphan: () => log("orphan") });
      ${start}`);
    expect(lines).toEqual(["orphan", "stopped", "exit 0"]);
  });

  it.each([
    ["createScope()", "globalThis.parent = createScope(); begin(globalThis.parent);"],
    ["a task", "globalThis.parent = createScope(); spawn(globalThis.parent, (task) => begin(task));"],
    ["another object", "globalThis.parent = selfCleaning((scope) => (begin(scope), {}));"],
    ["main()", "await main((scope) => void begin(scope));"],
  ])("goes on for an object that is held, below %s", async (_, start) => {
    const lines = await linesOf(`
      const begin = (parent) => void (globalThis.object = selfCleaning(parent, (scope) => {
        spawn(scope, async (task) => { await sleep(task, 20); log("woke"); scope.cancel(); });
        return {};
      }));
      ${start}`);
    expect(lines).toEqual(["woke", "exit 0"]);
  });

  it.each([
    [
      "outside main(), after its end",
      `globalThis.object = make(forever);
      await main((scope) => void below(scope));
      await new Promise((done) => setTimeout(done, 100));
      globalThis.object = undefined;`,
    ],
    [
      "below main(), before its body has ended",
      `await main((scope) => {
        globalThis.object = below(scope);
        const end = (done) => setTimeout(() => done((globalThis.object = undefined)), 100);
        return { then: end };
      });`,
    ],
  ])("finds an object that is dropped %s, after it has looked for others", async (_, source) => {
    const { stdout } = await folder.run(
      `${prelude}
      setTimeout(() => process.exit(1), 20_000).unref();
      const below = (parent) => selfCleaning(parent, (scope) => (spawn(scope, forever), {}), { onOrphan: "ignore" });
      ${source}`,
      { flags: ["--no-memory-reducer"] }, // which collects in an idle process, after eight seconds
    );
    expect(stdout).toBe("exit 0\n");
  });

  it.each([
    [
      "a Node stream",
      `new Writable({ write: (chunk, _, done) => void write(String(chunk), done) })`,
      "stream.write('a'); stream.end('b');",
    ],
    [
      "a Node stream, with callbacks",
      `new Writable({ write: (chunk, _, done) => void write(String(chunk), done) })`,
      "stream.write('a', () => stream.write('b'));",
    ],
    [
      "a web stream",
      `new WritableStream({ write: (chunk) => new Promise((done) => write(chunk, done)) })`,
      "const writer = stream.getWriter(); writer.write('a'); writer.write('b');",
    ],
  ])("with holdsProcess: false writes what %s took", async (_, stream, use) => {
    const lines = await linesOf(`
      const { Writable } = await import("node:stream");
      globalThis.object = selfCleaning((scope) => {
        const write = (text, done) => spawn(scope, async (task) => { await sleep(task, 20); log(text); done(); });
        return { open: () => ${stream} };
      }, { holdsProcess: false });
      const stream = globalThis.object.open();
      ${use}`);
    expect(lines).toEqual(["a", "b", "exit 0"]);
  });

  it("with holdsProcess: false does not wait for a write to a stream that was destroyed", async () => {
    const lines = await linesOf(`
      const { Writable } = await import("node:stream");
      globalThis.object = selfCleaning((scope) => {
        const write = () => void spawn(scope, forever);
        return { open: () => new Writable({ write }) };
      }, { holdsProcess: false });
      const stream = globalThis.object.open();
      stream.write("a");
      stream.destroy();`);
    expect(lines).toEqual(["exit 0"]);
  });

  it("ends in a worker thread, too", async () => {
    expect(
      await linesOf(`
        const { Worker, isMainThread } = await import("node:worker_threads");
        if (isMainThread) new Worker(new URL(import.meta.url)).on("exit", () => log("thread ended"));
        else make(forever);`),
    ).toEqual(["exit 0", "thread ended", "exit 0"]);
  });
});
