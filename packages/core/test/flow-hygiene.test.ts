import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { flush } from "./support/deferred.js";
import { untilCancelled } from "./support/until-cancelled.js";
import {
  all,
  allSettled,
  any,
  cancellable,
  checkpoint,
  createChannel,
  createScope,
  createSemaphore,
  createSingleFlight,
  detach,
  map,
  moveOnAfter,
  race,
  retry,
  select,
  sending,
  shield,
  sleep,
  spawn,
  start,
  stream,
  supervise,
  ticker,
  type Scope,
  type Worker,
} from "../src/index.js";
import { nodeOf } from "../src/task/node-of.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Each does its work in the scope, waits for something that happens, and for something that does not. */
const uses: readonly (readonly [string, (scope: Scope) => Promise<unknown>])[] = [
  ["sleep", (scope) => passing(sleep(scope, 10))],
  ["ticker", (scope) => passing(ticker(scope, 10).next())],
  ["checkpoint", (scope) => checkpoint(scope)],
  ["all", (scope) => all(scope, [waits, waits])],
  ["allSettled", (scope) => allSettled(scope, [waits, waits])],
  ["race", (scope) => race(scope, [untilCancelled, waits])],
  ["any", (scope) => any(scope, [untilCancelled, waits])],
  [
    "map",
    (scope) =>
      map(
        scope,
        async function* () {
          yield 1;
          yield 2;
        },
        () => flush(),
        { concurrency: 1 },
      ),
  ],
  [
    "stream",
    (scope) =>
      drain(
        stream(
          scope,
          async function* () {
            yield 1;
            yield 2;
          },
          () => flush(),
        ),
      ),
  ],
  [
    "stream, left early",
    (scope) =>
      drain(
        stream(scope, [1, 2, 3], () => flush(), { concurrency: 3 }),
        1,
      ),
  ],
  ["retry", (scope) => passing(retry(scope, failsOnce(), { minDelay: 10, jitter: false }))],
  ["supervise", (scope) => passing(Promise.resolve(supervise(scope, failsOnce(), { minDelay: 10 })))],
  ["shield", (scope) => shield(scope, { timeout: 100 }, waits)],
  ["moveOnAfter", (scope) => moveOnAfter(scope, { timeout: 100 }, waits)],
  [
    "moveOnAfter, too late",
    (scope) => passing(moveOnAfter(scope, { timeout: 10 }, (own) => sleep(own, 1_000))),
  ],
  ["cancellable", (scope) => cancellable(scope, flush, () => undefined, { timeout: 100 })],
  ["do of a single flight", (scope) => createSingleFlight(scope).do(scope, "key", waits)],
  ["start with a timeout", (scope) => start(scope, (_, started) => started(1), { timeout: 100 })],
  ["all with a timeout", (scope) => all(scope, [waits], { timeout: 100 })],
  ["start", (scope) => start(scope, (_, started) => started(1))],
  ["start, in a queue", (scope) => queued(scope, (limited) => start(limited, (_, started) => started(1)))],
  ["detach", async (scope) => detach(scope, scope, waits)],
  [
    "send",
    (scope) =>
      rendezvous(
        scope,
        (channel) => channel.send(scope, 1),
        (channel) => channel.receive(scope),
      ),
  ],
  [
    "receive",
    (scope) =>
      rendezvous(
        scope,
        (channel) => channel.receive(scope),
        (channel) => channel.send(scope, 1),
      ),
  ],
  [
    "values",
    (scope) =>
      rendezvous(
        scope,
        (channel) => channel.values(scope).next(),
        (channel) => channel.send(scope, 1),
      ),
  ],
  ["values, left early", (scope) => leave(createChannel<number>().values(scope))],
  [
    "a channel that is closed",
    (scope) =>
      rendezvous(
        scope,
        (channel) => channel.receive(scope).catch(() => undefined),
        async (channel) => channel.close(),
      ),
  ],
  ["acquire", acquires],
  [
    "select",
    (scope) =>
      rendezvous(
        scope,
        (channel) => select(scope, { channel, idle: 50 }),
        (channel) => channel.send(scope, 1),
      ),
  ],
  ["select, timed out", (scope) => passing(select(scope, { channel: createChannel<number>(), idle: 10 }))],
  [
    "select, sending",
    (scope) =>
      rendezvous(
        scope,
        (channel) => select(scope, { out: sending(channel, 1), idle: 50 }),
        (channel) => channel.receive(scope),
      ),
  ],
];

const waits: Worker<void> = () => flush();

async function passing<T>(promise: Promise<T>): Promise<T> {
  await flush();
  vi.advanceTimersByTime(10);
  return promise;
}

function failsOnce(): () => Promise<void> {
  let calls = 0;
  return async () => {
    if (calls++ === 0) throw new Error("once");
  };
}

async function drain(results: AsyncIterableIterator<unknown>, items = Infinity): Promise<void> {
  let taken = 0;
  for await (const result of results) {
    taken += 1;
    if (taken >= items) break;
    expect(result).toBeUndefined();
  }
}

async function leave(values: AsyncIterableIterator<unknown>): Promise<void> {
  const next = values.next();
  await values.return?.();
  await next;
}

type Numbers = ReturnType<typeof createChannel<number>>;

/** `first` waits in the channel until `second` comes. */
async function rendezvous(
  _scope: Scope,
  first: (channel: Numbers) => Promise<unknown>,
  second: (channel: Numbers) => Promise<unknown>,
): Promise<void> {
  const channel = createChannel<number>();
  const waiting = first(channel);
  await flush();
  await Promise.all([waiting, second(channel)]);
}

async function acquires(scope: Scope): Promise<void> {
  const semaphore = createSemaphore(1);
  const permit = await semaphore.acquire(scope);
  const next = semaphore.acquire(scope);
  permit[Symbol.dispose]();
  (await next)[Symbol.dispose]();
}

/** The only slot is taken at first. */
async function queued(scope: Scope, use: (limited: Scope) => Promise<unknown>): Promise<void> {
  const limited = createScope(scope, { concurrency: 1 });
  spawn(limited, waits);
  await use(limited);
  expect(nodeOf("test", "scope", limited).hooks).toBeUndefined();
  await limited.join();
}

describe("a wait in a scope", () => {
  it.each(uses)("rule 22: removes what it added: %s", async (_, use) => {
    const scope = createScope();
    await use(scope);
    await flush();
    const node = nodeOf("test", "scope", scope);
    expect(node.hooks).toBeUndefined();
    expect(node.first).toBeUndefined();
    expect(node.extras?.defers).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
    await scope.join();
  });

  it("is reported by the test above if it leaves something behind", async () => {
    const scope = createScope();
    void sleep(scope, Infinity).catch(() => undefined);
    expect(nodeOf("test", "scope", scope).hooks).toBeDefined();
    scope.cancel();
    expect(nodeOf("test", "scope", scope).hooks).toBeUndefined();
  });
});
