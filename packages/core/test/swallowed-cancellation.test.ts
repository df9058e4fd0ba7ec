import { EventEmitter } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  checkpoint,
  createChannel,
  createScope,
  createSingleFlight,
  select,
  shield,
  sleep,
  spawn,
  stream,
  ticker,
  withScope,
  type Scope,
  type ScopeHandle,
} from "../src/index.js";
import { effectionScope } from "../src/effection/index.js";
import { events, iterate, toReadableStream } from "../src/streams/index.js";
import { Child } from "./support/child.js";
import { flush } from "./support/deferred.js";
import { nodes } from "./support/nodes.js";
import { scriptFolder, type ScriptFolder } from "./support/run-script.js";
import { starters, waits, type Operation } from "./support/scope-operations.js";

/** So many calls between two turns mean that the event loop is blocked. */
const STARVED = 20_000;

/** Calls `operation` again and again, whatever it rejects with, until the event loop has had three turns. */
async function callsInThreeTurns(operation: () => PromiseLike<unknown>): Promise<number> {
  let calls = 0;
  let turns = 0;
  const looping = (async () => {
    while (turns < 3 && calls < STARVED) {
      calls += 1;
      try {
        await operation();
      } catch {
        // "log it and go on"
      }
    }
  })();
  while (turns < 3 && calls < STARVED) {
    await flush();
    turns += 1;
  }
  await looping;
  return calls;
}

const operations: Record<string, Operation> = {
  ...waits,
  ...starters,
  checkpoint,
  effectionScope,
  "a task": (scope) => spawn(scope, () => 1),
  "a scope with a handle, and a sleep in it": (scope) => sleep(createScope(scope), 10),
  "a shield that has no time": (scope) => shield(scope, { timeout: 0 }, () => 1),
  "a wait in a shield for the cancelled scope": (scope) =>
    shield(scope, { timeout: 1_000 }, () => sleep(scope, 10)),
  "events of an emitter": (scope) => events(scope, new EventEmitter(), "never").next(),
};

describe("rule 13: a worker that swallows its cancellation and continues does not block the event loop", () => {
  it.each(Object.keys(operations))("%s", async (name) => {
    const scope = createScope();
    scope.cancel();
    const calls = await callsInThreeTurns(() => (operations[name] as Operation)(scope));
    expect(calls).toBeLessThan(STARVED);
  });
});

describe("rule 13: nor does a worker that continues in a scope that has ended", () => {
  const started = new Set(["a task", "a scope with a handle, and a sleep in it", "events of an emitter"]);
  const names = Object.keys(operations).filter(
    (name) => !started.has(name) && !/ of (a (task|supervised)|events)/.test(name),
  );
  it.each(names)("%s", async (name) => {
    const ended = await withScope((scope) => scope);
    const calls = await callsInThreeTurns(() => (operations[name] as Operation)(ended));
    expect(calls).toBeLessThan(STARVED);
  });
});

describe("rule 13: nor does a worker that loops over a settled task or a closed channel", () => {
  const closed = createChannel<number>();
  closed.close();
  const over: Record<string, (scope: Scope) => PromiseLike<unknown>> = {
    "receive of a closed channel": (scope) => closed.receive(scope),
    "send to a closed channel": (scope) => closed.send(scope, 1),
    "select on a closed channel": (scope) => select(scope, { value: closed }),
    "a task that has failed": () => failed,
    "a single flight whose owner was cancelled": (scope) => cancelledFlights.do(scope, 1, () => 1),
    "a single flight whose owner has ended": (scope) => endedFlights.do(scope, 1, () => 1),
    "a scope without time": (scope) => withScope(scope, { timeout: 0 }, () => 1),
  };
  let failed: PromiseLike<unknown>;
  const cancelledOwner = createScope();
  cancelledOwner.cancel();
  const cancelledFlights = createSingleFlight(cancelledOwner);
  const endedOwner = createScope();
  const endedFlights = createSingleFlight(endedOwner);
  beforeAll(() => endedOwner.close());
  it.each(Object.keys(over))("%s", async (name) => {
    const scope = createScope({ supervise: true });
    failed = spawn(scope, () => {
      throw new Error("failed");
    });
    failed.then(undefined, () => undefined);
    const operation = over[name] as (scope: Scope) => PromiseLike<unknown>;
    expect(await callsInThreeTurns(() => operation(scope))).toBeLessThan(STARVED);
    await scope.close();
  });
});

describe("rule 13: nor does a worker that asks the same iterator again and again, or waits by its own callbacks", () => {
  const stopped = (): ScopeHandle => {
    const scope = createScope();
    scope.cancel();
    return scope;
  };
  const silent = { next: () => new Promise<never>(() => undefined) };
  const source = { [Symbol.asyncIterator]: () => silent };
  const iterators: Record<string, (scope: Scope) => AsyncIterator<unknown>> = {
    "a ticker": (scope) => ticker(scope, 10),
    "a channel's values": (scope) => createChannel().values(scope),
    "a stream": (scope) => stream(scope, [1], () => 1),
    "iterate()": (scope) => iterate(scope, source),
    "events()": (scope) => events(scope, new EventEmitter(), "never"),
  };
  it.each(Object.keys(iterators))("%s", async (name) => {
    const iterator = (iterators[name] as (scope: Scope) => AsyncIterator<unknown>)(stopped());
    const calls = await callsInThreeTurns(() => iterator.next());
    expect(calls).toBeLessThan(STARVED);
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  const others: Record<string, (scope: ScopeHandle) => PromiseLike<unknown>> = {
    "onCancel() with reject": (scope) => new Promise((_, reject) => scope.onCancel(reject)),
    "onCancel() with resolve": (scope) => new Promise((resolve) => scope.onCancel(resolve)),
    "a new readable stream": (scope) => toReadableStream(scope, source).getReader().read(),
    "join() of its scope": (scope) => scope.join(),
    "join() of a scope below": (scope) => createScope(scope).join(),
    "close() of a scope below": (scope) => createScope(scope).close(),
  };
  it.each(Object.keys(others))("%s", async (name) => {
    const scope = stopped();
    const operation = others[name] as (scope: ScopeHandle) => PromiseLike<unknown>;
    expect(await callsInThreeTurns(() => operation(scope))).toBeLessThan(STARVED);
  });

  it("a delayed onCancel() callback can be removed", async () => {
    const scope = stopped();
    const called: number[] = [];
    const removals = Array.from({ length: 300 }, (_, n) => scope.onCancel(() => called.push(n)));
    expect(called.length).toBeLessThan(300);
    expect(called).toEqual([...called.keys()]);
    const removed = removals.map((remove) => remove());
    expect(removed).toEqual(removed.map((_, n) => n >= called.length));
    const before = called.length;
    for (let n = 0; n < 10; n++) await flush();
    expect(called).toHaveLength(before);
  });

  it("a delayed onCancel() callback is called, once, and in order", async () => {
    const scope = stopped();
    const called: number[] = [];
    for (let n = 0; n < 1_000; n++) scope.onCancel(() => called.push(n));
    while (called.length < 1_000) await flush();
    expect(called).toEqual([...called.keys()]);
  });
});

it("rule 13: such a worker delays other code by the work of one iteration, not of a hundred", async () => {
  const scope = createScope();
  scope.cancel();
  let rounds = 0;
  let over = false;
  const looping = (async () => {
    while (!over) {
      rounds += 1;
      await sleep(scope, 1_000).catch(() => undefined);
      const until = performance.now() + 6;
      while (performance.now() < until);
    }
  })();
  for (let turns = 0; turns < 10; turns++) await flush(); // so long it learns how much goes into a turn
  const before = rounds;
  for (let turns = 0; turns < 10; turns++) await flush();
  over = true;
  expect(rounds - before).toBeLessThanOrEqual(11);
  await looping;
});

it("rule 13: ten thousand orderly workers that are refused at once do not wait for a turn each", async () => {
  const scope = createScope();
  scope.cancel();
  let turns = 0;
  let over = false;
  const counting = (async () => {
    while (!over) {
      await flush();
      turns += 1;
    }
  })();
  await Promise.allSettled(Array.from({ length: 10_000 }, () => sleep(scope, 1_000)));
  over = true;
  await counting;
  expect(turns).toBeLessThan(1_000);
});

it("rule 13: many such workers together get no more turns than one", async () => {
  const scope = createScope();
  scope.cancel();
  const calls = await Promise.all(
    Array.from({ length: 50 }, () => callsInThreeTurns(() => sleep(scope, 1_000))),
  );
  expect(calls.reduce((sum, count) => sum + count)).toBeLessThan(STARVED);
});

it("rule 13: an orderly program is refused at once: fewer than fifty refusals wait for nothing", async () => {
  await flush();
  await flush();
  const scope = createScope();
  scope.cancel();
  let turned = false;
  void flush().then(() => (turned = true));
  for (let i = 0; i < 40; i++) await sleep(scope, 1_000).catch(() => undefined);
  expect(turned).toBe(false);
});

describe("rule 13, in a process", () => {
  let scripts: ScriptFolder;
  beforeAll(async () => {
    scripts = await scriptFolder("process");
  });
  afterAll(() => scripts.remove());

  const swallow = `async function poll(task) { for (;;) try { await sleep(task, 1_000); } catch {} }`;

  for (const node of nodes()) {
    describe.skipIf(!node.path)(`on ${node.label}`, { timeout: 20_000 }, () => {
      it("close() reports a worker that swallows its cancellation, by name, when its grace is over", async () => {
        const script = `
          const service = createScope({ name: "service", grace: 30 });
          spawn(service, ${swallow});
          setTimeout(async () => {
            setTimeout(() => log("a timer fired"), 1);
            const error = await service.close().catch((thrown) => thrown);
            log(error.name, error.tasks.map((task) => task.path).join());
            process.exit();
          }, 5);`;
        const { stdout } = await scripts.run(script, { node: node.path });
        expect(stdout).toBe("a timer fired\nStuckTasksError service/poll\n");
      });

      it("main() ends when its grace is over", async () => {
        const script = (grace: string): string => `
          await main(async function api(scope) {
            spawn(scope, ${swallow});
            setTimeout(() => log("ready"), 1);
            await sleep(scope, Infinity);
          }, { grace: ${grace} });`;
        const byGrace = new Child(node.path ?? "", [scripts.write(script("50"))]);
        await byGrace.printed("ready");
        byGrace.kill("SIGTERM");
        expect(await byGrace.ending()).toMatchObject({
          code: 143,
          stderr: expect.stringContaining("api/poll") as string,
        });
      });
    });
  }
});
