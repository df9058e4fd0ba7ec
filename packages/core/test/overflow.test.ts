import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nodesForSlowTests } from "./support/nodes.js";
import { scriptFolder, type ScriptFolder } from "./support/run-script.js";

// An exception inside the runtime, a stack overflow above all, reaches the caller and leaves no tree waiting. In
// processes of their own, with an ordinary stack.

const prelude = `
  const unhandled = [];
  process.on("unhandledRejection", (error) => unhandled.push(error));
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const outcome = (promise) => promise.then((value) => "resolved", (error) => error.name + ": " + error.message);
  const ignored = (promise) => void promise.then(() => {}, () => {});
  const untilCancelled = (scope) => new Promise((_, reject) => scope.onCancel(reject));
  /** Whether nothing is left, and the runtime works. */
  const works = async (wait = (scope) => sleep(scope, 0)) => {
    await turn();
    const value = await withScope(async (scope) => { await wait(scope); return spawn(scope, async () => 1); });
    return value === 1 && unhandled.length === 0 && snapshot().children.length === 0;
  };
  const first = async (results) => { for await (const result of results) return result; };
`;

/** Each calls `go` with a scope of its own, which does the same: a missing base case. */
const kinds: Record<string, string> = {
  "spawn()": `void spawn(scope, (own) => void go(own))`,
  "spawn() whose task is returned": `spawn(scope, (own) => go(own))`,
  "spawn() of async functions": `spawn(scope, async (own) => { await go(own); })`,
  "spawn() with options": `spawn(scope, (own) => go(own), { timeout: 60_000, concurrency: 1 })`,
  "withScope()": `withScope(scope, (own) => go(own))`,
  "withScope() of async functions": `withScope(scope, async (own) => { await go(own); })`,
  "all()": `all(scope, [(own) => go(own), async () => 1])`,
  "race()": `race(scope, [(own) => go(own)])`,
  "any()": `any(scope, [(own) => go(own)])`,
  "map()": `map(scope, [1], (_, own) => go(own))`,
  "stream()": `first(stream(scope, [1], (_, own) => go(own)))`,
  "retry()": `retry(scope, (own) => go(own))`,
  "supervise()": `supervise(scope, (own) => go(own))`,
  "start()": `start(scope, async (own, started) => { await go(own); started(); })`,
  "shield()": `shield(scope, { timeout: 60_000 }, (own) => go(own))`,
  "moveOnAfter()": `moveOnAfter(scope, { timeout: 60_000 }, (own) => go(own))`,
  "cancellable()": `cancellable(scope, async () => { await go(scope); }, () => {})`,
  "do() of a single flight": `createSingleFlight(scope).do(scope, 1, (own) => go(own))`,
  "detach()": `detach(scope, scope, (own) => go(own))`,
  "createScope()": `go(createScope(scope))`,
  "selfCleaning()": `void selfCleaning((own) => { go(own); return { some: "object" }; })`,
};

/**
 * The calls at the very end of the stack, after a recursion of user code. They can use `scope` and the objects in it.
 */
const actions: Record<string, string> = {
  "spawn() of a function": `ignored(spawn(scope, () => 1))`,
  "spawn() of an async function": `ignored(spawn(scope, async () => 1))`,
  "spawn() of a function that throws": `ignored(spawn(scope, () => { throw new RangeError("own"); }))`,
  "spawn() with options": `ignored(spawn(scope, async () => 1, { timeout: 60_000, name: "x", concurrency: 2 }))`,
  "spawn() of a daemon": `ignored(spawn(scope, untilCancelled, { daemon: true }))`,
  "withScope()": `ignored(withScope(scope, async () => 1))`,
  "withScope() of a function": `ignored(withScope(scope, () => 1))`,
  "createScope()": `tools.more = createScope(scope)`,
  "all()": `ignored(all(scope, [() => 1, async () => 2]))`,
  "race()": `ignored(race(scope, [(own) => sleep(own, 60_000), () => 2]))`,
  "any()": `ignored(any(scope, [() => { throw 1; }, async () => 2]))`,
  "allSettled()": `ignored(allSettled(scope, [() => { throw 1; }, async () => 2]))`,
  "map()": `ignored(map(scope, [1, 2], (item) => item))`,
  "stream()": `ignored(stream(scope, [1, 2], (item) => item).next())`,
  "retry()": `ignored(retry(scope, () => 1))`,
  "supervise()": `ignored(supervise(scope, () => 1))`,
  "start()": `ignored(start(scope, async (own, started) => started()))`,
  "shield()": `ignored(shield(scope, { timeout: 60_000 }, () => 1))`,
  "moveOnAfter()": `ignored(moveOnAfter(scope, { timeout: 60_000 }, () => 1))`,
  "cancellable()": `ignored(cancellable(scope, async () => 1, () => {}))`,
  "do() of a single flight": `ignored(createSingleFlight(scope).do(scope, 1, async () => 1))`,
  "all() with options": `ignored(all(scope, [() => 1], { timeout: 60_000, name: "x" }))`,
  "start() with options": `ignored(start(scope, async (own, started) => started(), { timeout: 60_000 }))`,
  "cancel()": `child.cancel()`,
  "cancel() of the whole": `scope.cancel()`,
  "cancel() of what has signals": `grandchild.signal; child.signal; child.cancel()`,
  "close()": `ignored(child.close())`,
  "join()": `ignored(child.join())`,
  "defer()": `child.defer(() => {})`,
  "onCancel()": `child.onCancel(() => {}); child.cancel()`,
  "sleep()": `ignored(sleep(scope, 0))`,
};

let folder: ScriptFolder;

beforeAll(async () => {
  folder = await scriptFolder("inspect");
});

afterAll(() => folder.remove());

for (const node of nodesForSlowTests()) {
  const run = async (script: string, prints: string, ...flags: string[]): Promise<void> =>
    expect(await folder.run(prelude + script, { node: node.path, flags })).toMatchObject({
      code: 0,
      stdout: prints,
    });

  describe.skipIf(node.path === undefined)(`on ${node.label}`, { timeout: 120_000 }, () => {
    it("a missing base case rejects with the overflow, for every nested function, and everything settles", () =>
      run(
        Object.entries(kinds)
          .map(
            ([name, call]) => `{
              const go = (scope) => ${call};
              const result = await outcome(withScope((scope) => go(scope)));
              if (result !== "RangeError: Maximum call stack size exceeded") log(${JSON.stringify(name)}, result);
              if (!(await works())) log(${JSON.stringify(name)}, "does not work", unhandled.splice(0));
            }`,
          )
          .join("\n") + `log("done")`,
        "done\n",
      ));

    it("every promise that its caller dropped rejects with the overflow, and with no other error", () =>
      run(
        `const seen = new Set();
        const go = (scope) => void withScope(scope, (own) => void go(own)).catch((error) => seen.add(error));
        log(await outcome(withScope((scope) => go(scope))), await works());
        log(seen.size, [...seen][0].message);`,
        "resolved true\n1 Maximum call stack size exceeded\n",
      ));

    it("allSettled() without end has the overflow among its results", () =>
      run(
        `const go = (scope) => allSettled(scope, [(own) => go(own)]);
        let [result] = await withScope((scope) => go(scope));
        while (result.status === "fulfilled") [result] = result.value;
        log(result.reason.message, await works());`,
        "Maximum call stack size exceeded true\n",
      ));

    // From no room at all to room enough, in steps of a small frame or two.
    it("a call at the end of the stack completes or throws, and everything settles", () =>
      run(
        `const actions = {${Object.entries(actions)
          .map(
            ([name, call]) =>
              `${JSON.stringify(name)}: (scope, tools) => { const { child, grandchild } = tools; ${call}; }`,
          )
          .join(",\n")}};
        // Where setTimeout() itself has no room, Node counts a timer that it never has. From then on no timer keeps its event
        // loop alive, without bough as well, and the process may end with the code 13. So nothing here waits for a timer.
        const starts = async (scope) => {
          const sleeper = spawn(scope, (own) => sleep(own, 60_000));
          await turn();
          sleeper.cancel();
        };
        const attempt = async (name, room) => {
          let told = 0, done = false, thrown = false;
          const result = await outcome(withScope({ concurrency: room % 4 === 0 ? 2 : Infinity }, async (scope) => {
            const child = createScope(scope), grandchild = createScope(child);
            child.onCancel(() => { told += 1; });
            ignored(sleep(grandchild, 60_000));
            spawn(grandchild, (own) => sleep(own, 60_000));
            const tools = { child, grandchild, more: undefined };
            const down = (level, a, b, c) => {
              try { down(level + 1, 1, 2, 3); } catch (error) {
                if (room-- > 0 || done) throw error;
                done = true;
                try { actions[name](scope, tools); } catch (error) { if (!(error instanceof RangeError)) throw error; thrown = true; }
              }
            };
            down(0);
            await turn();
            await child.close();
            await tools.more?.close();
            if (told !== 1) throw new Error("the callback of child ran " + told + " times");
          }));
          if (result !== "resolved" && !/^(RangeError|AbortError)/.test(result)) log(name, room, result);
          return thrown;
        };
        for (const name in actions) {
          let thrown = 0;
          for (let room = 0; room < 360; room += 12) thrown += await attempt(name, room);
          if (thrown > 29) log(name, "never got as far");
          if (!(await works(starts))) log(name, "does not work", unhandled.splice(0));
        }
        log("done");
        process.exit();`,
        "done\n",
        "--stack-size=200", // the shorter, the sooner it is at its end
      ));

    it("rule 13: a chain of 10,000 scopes each of whose listeners cancels the next ends", () =>
      run(
        `const chain = async (title, link) => {
          const scopes = Array.from({ length: 10_000 }, () => createScope());
          let marked = 0;
          scopes.forEach((scope, index) => link(scope, (cause) => {
            const next = scopes[index + 1];
            next?.cancel(cause);
            marked += next === undefined || (next.cancelled && next.state !== "open" && next.reason.cause === cause) ? 1 : 0;
          }));
          scopes.forEach((scope) => spawn(scope, untilCancelled));
          const done = scopes[0].cancel("first");
          log(title, done, marked);
          await turn();
          log(scopes.every((scope) => scope.state === "closed"), scopes.at(-1).signal.aborted);
        };
        await chain("callback", (scope, next) => scope.onCancel(() => next("from a callback")));
        await chain("listener", (scope, next) => scope.signal.addEventListener("abort", () => next("from a listener")));
        log(await works());`,
        "callback true 10000\ntrue true\nlistener true 10000\ntrue true\ntrue\n",
      ));

    it("rule 13: a chain of 10,000 scopes that follow each other's signal ends", () =>
      run(
        `const scopes = [createScope()];
        for (let i = 1; i < 10_000; i++) scopes.push(createScope({ signal: scopes[i - 1].signal }));
        scopes[0].cancel();
        log(scopes.every((scope) => scope.cancelled && scope.signal.aborted));
        await turn();
        log(scopes.every((scope) => scope.state === "closed"));`,
        "true\ntrue\n",
      ));

    it("rule 13: a scope at the end of a chain may have more children than a call takes arguments", () =>
      run(
        `const scopes = Array.from({ length: 33 }, () => createScope());
        scopes.forEach((scope, index) => scope.onCancel(() => scopes[index + 1]?.cancel()));
        const children = Array.from({ length: 40_000 }, () => createScope(scopes.at(-1)));
        scopes[0].cancel();
        log(children.every((child) => child.state === "closed"), scopes.every((scope) => scope.state === "closed"));`,
        "true true\n",
        "--stack-size=200",
      ));

    it("rule 13: as long as few cancellations are nested, each has notified every listener when cancel() returns", () =>
      run(
        `const scopes = Array.from({ length: 30 }, () => createScope());
        const order = [];
        scopes.forEach((scope, index) => scope.onCancel(() => {
          order.push("in " + index);
          scopes[index + 1]?.cancel();
          order.push("out " + index);
        }));
        scopes[0].cancel();
        const count = scopes.map((_, index) => index);
        log(order.join() === [...count.map((i) => "in " + i), ...count.toReversed().map((i) => "out " + i)].join());`,
        "true\n",
      ));

    it("an Error.prepareStackTrace that throws stops nothing, with or without tracing", () =>
      run(
        `Error.prepareStackTrace = () => { throw new Error("mine"); };
        for (const tracing of [false, true]) {
          setTracing(tracing);
          const result = withScope(async (scope) => {
            spawn(scope, () => sleep(scope, 0));
            createScope(scope).cancel();
            await all(scope, [async () => 1]);
            await retry(scope, () => 1);
            return any(scope, [() => { throw new TypeError("none"); }]);
          });
          log(await result.catch((error) => error instanceof AggregateError));
          const stuck = createScope({ grace: 1 });
          spawn(stuck, () => new Promise((resolve) => setTimeout(resolve, 20)));
          log(await stuck.close().catch((error) => error instanceof bough.StuckTasksError));
          await stuck.join().catch(() => undefined);
        }
        Error.prepareStackTrace = undefined;
        log(await works());`,
        "true\ntrue\ntrue\ntrue\ntrue\n",
      ));

    it("an Error.prepareStackTrace that returns another value gives no call site", () =>
      run(
        `setTracing(true);
        Error.prepareStackTrace = () => ({});
        const scope = createScope();
        spawn(scope, untilCancelled);
        log(snapshot(scope).children[0].spawnedAt);
        await scope.close();
        log(await works());`,
        "undefined\ntrue\n",
      ));

    it("no value of Error.stackTraceLimit stops a scope from working, with or without tracing", () =>
      run(
        `const mine = new Error("limit");
        const limits = [{ get() { throw mine; } }, { value: 0 }, { value: "all" }, { value: 5, writable: false }, { get: () => 3 }];
        const limit = Error.stackTraceLimit;
        for (const property of limits) {
          for (const tracing of [false, true]) {
            setTracing(tracing);
            Object.defineProperty(Error, "stackTraceLimit", { configurable: true, ...property });
            const scope = createScope();
            ignored(spawn(scope, untilCancelled));
            if (!scope.cancel()) log("not cancelled", property);
            await scope.close();
            const timed = withScope({ timeout: 1 }, (own) => sleep(own, 60_000));
            if (!(await timed.catch((error) => error instanceof bough.DeadlineExceededError))) log("no deadline", property);
            Object.defineProperty(Error, "stackTraceLimit", { configurable: true, writable: true, value: limit });
          }
        }
        log(await works());`,
        "true\n",
      ));

    it("an error of a throwing timer goes to the caller who made the scope, or is unhandled, and everything settles", () =>
      run(
        `const { setTimeout: real, clearTimeout: clear } = globalThis;
        const mine = new Error("no timers");
        globalThis.setTimeout = () => { throw mine; };
        log(await withScope({ timeout: 10 }, () => 1).catch((error) => error === mine));
        const scope = createScope({ grace: 10 });
        spawn(scope, untilCancelled);
        log(scope.cancel(), scope.cancelled);
        globalThis.setTimeout = real;
        await scope.close();
        globalThis.clearTimeout = () => { throw mine; };
        const timed = createScope({ timeout: 10_000 });
        await timed.close();
        globalThis.clearTimeout = clear;
        log(timed.state);
        await turn();
        log(unhandled.splice(0).every((error) => error === mine));
        log(await works());
        process.exit();`,
        "true\ntrue true\nclosed\ntrue\ntrue\n",
      ));

    it("the error of a foreign signal that throws is reported, and everything settles", () =>
      run(
        `const mine = new Error("bad signal");
        const bad = (overrides) => ({
          aborted: false, reason: undefined, addEventListener() {}, removeEventListener() {}, ...overrides,
        });
        const thrower = () => { throw mine; };
        const read = Object.defineProperty(bad({}), "aborted", { get: thrower });
        for (const signal of [bad({ addEventListener: thrower }), read])
          log(await withScope({ signal }, () => 1).catch((error) => error === mine));
        log(await withScope({ signal: bad({ removeEventListener: thrower }) }, () => 1));
        let listener;
        const aborting = bad({ addEventListener: (_, added) => { listener = added; } });
        const scope = createScope({ signal: aborting });
        Object.defineProperty(aborting, "reason", { get: thrower });
        listener();
        log(scope.reason.kind, scope.reason.cause === mine);
        await turn();
        log(unhandled.splice(0).length, await works());`,
        "true\ntrue\n1\nsignal true\n1 true\n",
      ));

    it("getters that throw, of an error, a thenable, a worker's name, of options, stop nothing", () =>
      run(
        `const mine = new Error("getter");
        const thrower = { get() { throw mine; } };
        const error = Object.defineProperties({}, { name: thrower, stack: thrower, cause: thrower, message: thrower });
        log(await withScope((scope) => { spawn(scope, async () => { throw error; }); }).catch((thrown) => thrown === error));
        const cancelled = createScope();
        const own = spawn(cancelled, (scope) => new Promise((_, reject) => scope.onCancel(() => reject(error))));
        cancelled.cancel();
        log(await cancelled.join().catch((thrown) => thrown === error), own.status);
        const thenable = Object.defineProperty({}, "then", thrower);
        log(await withScope((scope) => { spawn(scope, () => thenable); }).catch((thrown) => thrown === mine));
        const worker = Object.defineProperty(() => 1, "name", thrower);
        for (const go of [spawn, retry, supervise, (scope, fn) => all(scope, [fn]), (scope, fn) => detach(scope, scope, fn),
          (scope, fn) => start(scope, Object.defineProperty((_, started) => started(1), "name", thrower)).then(() => 1)])
          log(await withScope((scope) => go(scope, worker)).then(String));
        const options = Object.defineProperty({}, "timeout", thrower);
        log(await withScope(options, () => 1).catch((thrown) => thrown === mine));
        await withScope((scope) => { try { spawn(scope, () => 1, options); } catch (thrown) { log(thrown === mine); } });
        let reads = 0;
        const twice = { get timeout() { if (reads++ > 0) throw mine; return 5; } };
        log(await withScope(twice, () => 1).catch((thrown) => thrown === mine));
        log(await works());`,
        "true\ntrue failed\ntrue\n1\n1\n1\n1\n1\n1\ntrue\ntrue\ntrue\ntrue\n",
      ));

    it("a diagnostics subscriber that throws stops nothing", () =>
      run(
        `const { subscribe } = await import("node:diagnostics_channel");
        const mine = new Error("subscriber");
        let uncaught = 0;
        process.on("uncaughtException", (error) => { if (error === mine) uncaught += 1; });
        for (const name of ["scope:open", "scope:cancel", "scope:close", "task:start", "task:settle"])
          subscribe("bough:" + name, () => { throw mine; });
        const scope = createScope();
        const task = spawn(scope, untilCancelled);
        scope.cancel();
        await scope.close();
        await turn();
        log(task.status, scope.state, uncaught);
        log(unhandled.length, snapshot().children.length);`,
        "cancelled closed 5\n0 0\n",
      ));
  });
}
