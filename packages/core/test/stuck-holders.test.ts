import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { resource, suspend, until as untilSettled, type Operation } from "effection";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { effectionScope, useOperation } from "../src/effection/index.js";
import {
  all,
  cancellable,
  close,
  createScope,
  createSingleFlight,
  map,
  moveOnAfter,
  race,
  retry,
  selfCleaning,
  shield,
  sleep,
  spawn,
  start,
  stream,
  StuckTasksError,
  supervise,
  withScope,
  type Scope,
  type ScopeHandle,
  type Started,
  type TaskInfo,
} from "../src/index.js";
import { setTracing } from "../src/inspect/index.js";
import { pipe } from "../src/streams/index.js";
import { deferred, flush, rejection, type Deferred } from "./support/deferred.js";

let gate: Deferred<void>;
let told: (readonly TaskInfo[])[];
const hear = (message: unknown): void => void told.push((message as { tasks: readonly TaskInfo[] }).tasks);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  gate = deferred();
  told = [];
  subscribe("bough:stuck", hear);
});

afterEach(async () => {
  unsubscribe("bough:stuck", hear);
  gate.resolve();
  await flush();
  vi.useRealTimers();
});

const hang = (): Promise<void> => gate.promise;
const unnamed = (): (() => Promise<void>) => () => gate.promise;
const opened = (): Operation<void> => untilSettled(gate.promise);
const ignore = (promise: Promise<unknown>): void => void promise.catch(() => undefined);
const until = (scope: Scope): Promise<never> => sleep(scope, Infinity) as Promise<never>;

class Connection {
  [Symbol.asyncDispose](): Promise<void> {
    return gate.promise;
  }
}

/** A source whose `return()` does not end. */
function stuckSource(): AsyncIterable<string> {
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => undefined),
      return: async () => {
        await gate.promise;
        return { done: true, value: undefined };
      },
    }),
  };
}

type Row = readonly [what: string, begin: (scope: ScopeHandle) => unknown, lines: string];

/** Each line: the path, and what the message says of it. */
const table: readonly Row[] = [
  [
    "a cleanup",
    (scope) =>
      scope.defer(async function flushLog() {
        await gate.promise;
      }),
    'app (a cleanup "flushLog" has not finished)',
  ],
  ["a cleanup without a name", (scope) => scope.defer(unnamed()), "app (a cleanup has not finished)"],
  [
    "the first cleanup, when those after it have ended",
    (scope) => {
      scope.defer(hang);
      scope.defer(function quick() {});
    },
    'app (a cleanup "hang" has not finished)',
  ],
  [
    "the disposal of a resource",
    (scope) => scope.use(new Connection()),
    'app (a cleanup "Connection" has not finished)',
  ],
  [
    "a cleanup of a task",
    (scope) =>
      spawn(scope, function job(task) {
        task.defer(hang);
      }),
    'app/job (a cleanup "hang" has not finished)',
  ],
  [
    "a cleanup of a scope below",
    (scope) => createScope(scope, { name: "pool" }).defer(hang),
    'app/pool (a cleanup "hang" has not finished)',
  ],
  ["a worker", (scope) => spawn(scope, hang), "app/hang (its worker has not returned)"],
  [
    "a daemon",
    (scope) => spawn(scope, hang, { daemon: true, name: "beat" }),
    "app/beat (its worker has not returned)",
  ],
  [
    "the body of a withScope",
    (scope) => ignore(withScope(scope, { name: "import" }, hang)),
    "app/import (its body has not returned)",
  ],
  [
    "the body of a withScope, not the task that waits for it",
    (scope) => spawn(scope, (task) => withScope(task, { name: "import" }, hang), { name: "job" }),
    "app/job/import (its body has not returned)",
  ],
  [
    "a task, not the body that awaits it",
    (scope) =>
      ignore(withScope(scope, { name: "import" }, async (own) => spawn(own, hang).catch(() => undefined))),
    "app/import/hang (its worker has not returned)",
  ],
  [
    "a task that has returned as far as its child is concerned: only that",
    (scope) => spawn(scope, (task) => void spawn(task, hang, { name: "child" }), { name: "parent" }),
    "app/parent/child (its worker has not returned)",
  ],
  [
    "a worker and a task of its that it does not await: both",
    (scope) =>
      spawn(
        scope,
        (task) => {
          spawn(task, hang, { name: "child" });
          return gate.promise;
        },
        { name: "parent" },
      ),
    "app/parent (its worker has not returned)\napp/parent/child (its worker has not returned)",
  ],
  [
    "a worker that waits for a sibling, and the sibling",
    (scope) => {
      const first = spawn(scope, hang, { name: "first" });
      spawn(scope, () => Promise.resolve(first), { name: "second" });
    },
    "app/first (its worker has not returned)\napp/second (its worker has not returned)",
  ],
  [
    "a shield",
    (scope) => ignore(shield(scope, { timeout: 60_000 }, hang)),
    "app/hang (its body has not returned)",
  ],
  [
    "a shield in a cleanup, not the cleanup that waits for it",
    (scope) => scope.defer(() => shield(scope, { timeout: 60_000 }, hang)),
    "app/hang (its body has not returned)",
  ],
  [
    "an owner handle that nobody closes",
    (scope) =>
      ignore(
        shield(scope, { timeout: 60_000 }, function goodbye(own) {
          kept = createScope(own, { name: "pool" });
        }),
      ),
    "app/goodbye/pool (its owner has not closed it)",
  ],
  [
    "the source of map",
    (scope) => ignore(map(scope, stuckSource(), hang)),
    "app/map (its source has not ended)",
  ],
  [
    "an item of map, and neither its body nor who waits for it",
    (scope) => spawn(scope, (task) => map(task, [1], hang), { name: "job" }),
    "app/job/map/hang (its worker has not returned)",
  ],
  [
    "the source of stream",
    (scope) => ignore(stream(scope, stuckSource(), hang).next()),
    "app/stream/items (its source has not ended)",
  ],
  ["a worker of all", (scope) => ignore(all(scope, [hang])), "app/all/hang (its worker has not returned)"],
  [
    "a loser of race",
    (scope) => ignore(race(scope, [hang, until])),
    "app/race/hang (its worker has not returned)",
  ],
  [
    "an attempt of retry",
    (scope) => ignore(retry(scope, hang)),
    "app/retry/hang (its body has not returned)",
  ],
  ["a run of supervise", (scope) => supervise(scope, hang), "app/hang/#1 (its body has not returned)"],
  [
    "the operation of cancellable",
    (scope) =>
      ignore(
        cancellable(
          scope,
          () => gate.promise,
          () => undefined,
        ),
      ),
    "app/cancellable (its body has not returned)",
  ],
  [
    "the worker of moveOnAfter",
    (scope) => ignore(moveOnAfter(scope, { timeout: 1 }, hang)),
    "app/hang (its body has not returned)",
  ],
  [
    "the worker of a single flight",
    (scope) => ignore(createSingleFlight(scope).do(scope, "key", hang)),
    "app/singleFlight/hang (its body has not returned)",
  ],
  [
    "the worker of start",
    (scope) =>
      ignore(
        start(scope, function server(_, started: Started<void>) {
          started();
          return gate.promise;
        }),
      ),
    "app/server/start (its worker has not returned)",
  ],
  [
    "the sink of pipe",
    (scope) => ignore(pipe(scope, ["a"], new WritableStream({ write: hang }))),
    "app/pipe (its body has not returned)",
  ],
  [
    "an Effection operation as a worker",
    (scope) =>
      spawn(scope, function* job() {
        try {
          yield* suspend();
        } finally {
          yield* opened();
        }
      }),
    "app/job (its Effection operation has not ended)",
  ],
  [
    "the tear-down of an Effection resource",
    (scope) =>
      ignore(
        useOperation(scope, function useConnection() {
          return resource<string>(function* (provide) {
            try {
              yield* provide("connected");
            } finally {
              yield* opened();
            }
          });
        }),
      ),
    'app (a cleanup "useConnection" has not finished)',
  ],
  [
    "an Effection scope",
    async (scope) => {
      const inner = await effectionScope(scope);
      inner
        .run(function* () {
          try {
            yield* suspend();
          } finally {
            yield* opened();
          }
        })
        .catch(() => undefined);
    },
    "app/effectionScope (its Effection operation has not ended)",
  ],
  [
    "what runs, not what waits for its turn",
    (scope) =>
      ignore(
        shield(scope, { timeout: 60_000 }, function goodbye(own) {
          kept = createScope(own, { name: "pool", concurrency: 1 });
          spawn(kept, hang, { name: "one" });
          spawn(kept, hang, { name: "two" });
        }),
      ),
    "app/goodbye/pool/one (its worker has not returned)",
  ],
];

let kept: ScopeHandle | undefined;

/** As in the message, without ages. */
function linesOf({ message }: StuckTasksError): string[] {
  const [head, ...lines] = message.split("\n");
  expect(head).toMatch(/^Scope "app" still has work 100 ms after it was cancelled:$/);
  return lines.map((line) => line.trim().replace(/, \d+ ms old\)$/, ")"));
}

describe("rule 17: the report of stuck work names", () => {
  it.each(table)("%s", async (_, begin, expected) => {
    const lines = expected.split("\n");
    const scope = createScope({ name: "app", onOrphan: "ignore" });
    const begun = begin(scope);
    if (begun instanceof Promise) await begun;
    await flush();
    const closed = rejection(scope.close({ grace: 100 }));
    await flush();
    vi.advanceTimersByTime(100);
    const error = (await closed) as StuckTasksError;
    expect(error).toBeInstanceOf(StuckTasksError);
    expect(linesOf(error)).toEqual(lines);
    expect(error.tasks.map(({ path }) => path)).toEqual(lines.map((line) => line.split(" (")[0]));
    expect(told).toEqual([error.tasks]);
    expect(JSON.parse(JSON.stringify(error.tasks))).toEqual(error.tasks);
    gate.resolve();
    await flush();
    await kept?.close();
    kept = undefined;
    await scope.close();
    expect(scope.state).toBe("closed");
  });

  it("the cleanup of an object that cleans up itself", async () => {
    const handle = selfCleaning(
      function cache(scope) {
        scope.defer(hang);
        return { get: () => 1 };
      },
      { grace: 100 },
    );
    const closed = rejection(close(handle));
    await flush();
    vi.advanceTimersByTime(100);
    expect(((await closed) as StuckTasksError).tasks).toMatchObject([
      { path: "cache", waitingFor: "cleanup", cleanup: "hang" },
    ]);
  });

  it("the body of a scope that exceeded its own timeout, also in the warning", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const done = withScope({ name: "c", timeout: 10, grace: 20 }, hang);
    vi.advanceTimersByTime(30);
    expect(warned.mock.calls[0]?.[0]).toBe(
      'Scope "c" still has work 20 ms after it was cancelled:\n  c (its body has not returned, 30 ms old)',
    );
    warned.mockRestore();
    gate.resolve();
    await done;
  });

  it("the scope itself if nothing below it has unfinished work", async () => {
    const onError = vi.fn<() => void>();
    const scope = createScope({ name: "app", onError });
    const child = createScope(scope, { name: "child" });
    spawn(child, hang, { name: "task" });
    const closed = rejection(scope.close({ grace: 100 }));
    gate.reject(new Error("late"));
    // The child has settled, and whether somebody receives its failure is not decided before the microtasks have run.
    const seen = new Promise<void>((resolve) => {
      gate.promise.then(undefined, () => {
        vi.advanceTimersByTime(100);
        resolve();
      });
    });
    await seen;
    const error = (await closed) as StuckTasksError;
    expect(error.tasks).toMatchObject([{ path: "app", waitingFor: "children" }]);
    expect(error.message).toMatch(/:\n {2}app \(its children have not ended, \d+ ms old\)$/);
    await flush();
    expect(onError).toHaveBeenCalledOnce();
  });

  it("a scope whose cancellation listeners are still running", async () => {
    const scope = createScope({ name: "app" });
    let pool!: ScopeHandle;
    void shield(scope, { timeout: 60_000 }, function goodbye(own) {
      pool = createScope(own, { name: "pool" });
    });
    const closed = rejection(scope.close({ grace: 100 }));
    await flush();
    pool.onCancel(() => void vi.advanceTimersByTime(100));
    pool.cancel();
    expect(((await closed) as StuckTasksError).tasks).toMatchObject([
      { path: "app/goodbye/pool", waitingFor: "notification" },
    ]);
    await scope.close();
  });

  it("where a cleanup was deferred, while tracing is on", async () => {
    const before = setTracing(true);
    try {
      const scope = createScope({ name: "app" });
      scope.defer(hang);
      const closed = rejection(scope.close({ grace: 100 }));
      await flush();
      vi.advanceTimersByTime(100);
      const error = (await closed) as StuckTasksError;
      expect(error.tasks[0]?.deferredAt).toMatch(/stuck-holders\.test\.ts:\d+:\d+\)?$/);
      expect(error.message).toMatch(
        /a cleanup "hang", deferred at .*stuck-holders\.test\.ts:\d+:\d+\)?, has not/,
      );
    } finally {
      setTracing(before);
    }
  });
});
