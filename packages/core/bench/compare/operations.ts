import type * as Bough from "../../src/index.js";
import type { Scope } from "../../src/index.js";

/** One operation, done `count` times. */
export interface Operation {
  readonly count: number;
  /** Returns the milliseconds that it took. */
  readonly run: () => Promise<number>;
}

const trivial = async (): Promise<number> => 1;

/** Takes a turn of the microtask queue. */
async function part(): Promise<number> {
  await Promise.resolve();
  return 1;
}

async function timed(job: () => unknown): Promise<number> {
  const start = performance.now();
  await job();
  return performance.now() - start;
}

/** Does something while the signal is listened to, as `fetch` would. */
async function listening(signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
  const onAbort = (): void => undefined;
  signal.addEventListener("abort", onAbort);
  await work();
  signal.removeEventListener("abort", onAbort);
}

/** Three tasks that succeed or fail together, by hand. */
async function three(signal: AbortSignal | undefined, abort: (error: unknown) => void): Promise<void> {
  const tasks = [part(), part(), part()];
  for (const task of tasks) task.catch(abort);
  await Promise.allSettled(tasks);
  signal?.throwIfAborted();
}

function requestByHand(): Promise<void> {
  const controller = new AbortController();
  const { signal } = controller;
  return listening(signal, () => three(signal, (error) => controller.abort(error)));
}

/** The operations of one build. This file is loaded once for each, so that the engine optimises each for one build only. */
export function operations(bough: typeof Bough): Map<string, Operation> {
  const { all, allSettled, any, checkpoint, createChannel, createContextKey, createScope, createSemaphore } =
    bough;
  const { map, moveOnAfter, race, retry, select, selfCleaning, sleep, spawn, withScope } = bough;
  const found = new Map<string, Operation>();

  /** In one scope, started all at once. */
  function atOnce(name: string, count: number, job: (scope: Scope, index: number) => unknown): void {
    const body = (scope: Scope): Promise<unknown> =>
      Promise.all(Array.from({ length: count }, (_, index) => job(scope, index)));
    found.set(name, { count, run: () => timed(() => withScope(body)) });
  }

  /** In one scope, one after the other. */
  function inTurn(name: string, count: number, job: (scope: Scope) => unknown): void {
    const body = async (scope: Scope): Promise<void> => {
      for (let index = 0; index < count; index++) await job(scope);
    };
    found.set(name, { count, run: () => timed(() => withScope(body)) });
  }

  /** In one scope, without a turn of the microtask queue in between. */
  function inOneGo(name: string, count: number, job: (scope: Scope) => unknown): void {
    const body = (scope: Scope): Promise<number> =>
      timed(() => {
        for (let index = 0; index < count; index++) job(scope);
      });
    found.set(name, { count, run: () => withScope({ timeout: 1e8 }, body) });
  }

  /** Tasks that wait: their creation, and their cancellation with its end. */
  function suspended(name: string, count: number, worker: (scope: Scope) => Promise<unknown>): void {
    const create = (): { handle: Bough.ScopeHandle; took: Promise<number> } => {
      const handle = createScope();
      const took = timed(() => {
        for (let index = 0; index < count; index++) spawn(handle, worker);
      });
      return { handle, took };
    };
    const run = async (): Promise<number> => {
      const { handle, took } = create();
      await handle.close();
      return took;
    };
    found.set(`suspended, ${name}: create`, { count, run });
    const cancelled = async (): Promise<number> => {
      const { handle } = create();
      return timed(() => handle.close());
    };
    found.set(`suspended, ${name}: cancel + join`, { count, run: cancelled });
  }

  const untilCancelled = (scope: Scope): Promise<never> =>
    new Promise((_, reject) => {
      scope.onCancel(reject);
    });

  const joined = (scope: Scope): void => {
    for (let index = 0; index < 600; index++) spawn(scope, trivial);
  };
  found.set("spawn + join, one function", { count: 600, run: () => timed(() => withScope(joined)) });
  atOnce("every task awaited", 400, (scope) => spawn(scope, trivial));
  inTurn("spawn, await, one by one", 300, (scope) => spawn(scope, trivial));
  inTurn("spawn within a task", 140, (scope) =>
    spawn(scope, async (own) => void spawn(own, async (inner) => void spawn(inner, trivial))),
  );
  inTurn("spawn({ timeout })", 300, (scope) => spawn(scope, trivial, { timeout: 1_000 }));
  suspended("onCancel", 400, untilCancelled);
  suspended("async onCancel", 400, async (scope) => void (await untilCancelled(scope)));
  suspended("sleep", 400, (scope) => sleep(scope, 1e6));
  suspended("async sleep", 400, async (scope) => {
    await sleep(scope, 1e6);
  });
  suspended(
    "signal",
    100,
    (scope) =>
      new Promise((_, reject) => {
        scope.signal.addEventListener("abort", () => reject(scope.signal.reason as Error));
      }),
  );

  inTurn("withScope", 400, (scope) => withScope(scope, trivial));
  inTurn("withScope({ timeout })", 300, (scope) => withScope(scope, { timeout: 1_000 }, trivial));
  const { signal } = new AbortController();
  inTurn("withScope({ signal })", 300, (scope) => withScope(scope, { signal }, trivial));
  inTurn("moveOnAfter", 200, (scope) => moveOnAfter(scope, { timeout: 1_000 }, trivial));
  inTurn("race", 160, (scope) => race(scope, [untilCancelled, trivial]));
  inTurn("any", 160, (scope) => any(scope, [trivial, trivial]));
  inTurn("all of three", 200, (scope) => all(scope, [trivial, trivial, trivial]));
  inTurn("allSettled of three", 200, (scope) => allSettled(scope, [trivial, trivial, trivial]));
  const items = [...Array(400).keys()];
  found.set("map, 10 at once", {
    count: 400,
    run: () => timed(() => withScope((scope) => map(scope, items, trivial, { concurrency: 10 }))),
  });
  inTurn("retry, the first attempt succeeds", 200, (scope) => retry(scope, trivial, { attempts: 3 }));
  inTurn("checkpoint", 400, (scope) => checkpoint(scope));
  inTurn("defer", 200, (scope) => withScope(scope, (own) => own.defer(() => undefined)));

  for (const capacity of [16, 0]) {
    const body = async (scope: Scope): Promise<void> => {
      const channel = createChannel<number>(capacity);
      spawn(scope, async (own) => {
        for (let index = 0; index < 600; index++) await channel.send(own, index);
      });
      for (let index = 0; index < 600; index++) await channel.receive(scope);
    };
    found.set(`channel of ${capacity}`, { count: 600, run: () => timed(() => withScope(body)) });
  }
  const free = createSemaphore(10);
  inTurn("semaphore, free", 400, async (scope) => (await free.acquire(scope))[Symbol.dispose]());
  const scarce = createSemaphore(10);
  atOnce("semaphore, 10 of 200", 200, async (scope) => {
    const permit = await scarce.acquire(scope);
    await trivial();
    permit[Symbol.dispose]();
  });
  const ready = createChannel<number>(1);
  inTurn("select, ready", 200, async (scope) => {
    await ready.send(scope, 1);
    await select(scope, { ready, late: 1e5 });
  });
  const waiting = createChannel<number>(0);
  inTurn("select, waits", 200, (scope) =>
    Promise.all([select(scope, { waiting, late: 1e5 }), waiting.send(scope, 1)]),
  );

  inOneGo("onCancel, stop", 4_000, (scope) => scope.onCancel(() => undefined)());
  inOneGo("throwIfCancelled, with a deadline", 4_000, (scope) => scope.throwIfCancelled());
  const key = createContextKey<number>("key");
  inOneGo("context value: set, get", 4_000, (scope) => {
    scope.set(key, 1);
    scope.get(key);
  });

  inTurn("createScope, close", 200, () => createScope().close());
  inTurn("createScope, spawn, join", 200, () => {
    const handle = createScope();
    spawn(handle, trivial);
    return handle.join();
  });
  class Counter {
    one(by: number): number {
      return by + 1;
    }
  }
  const build = (): Counter => new Counter();
  inTurn("selfCleaning, close", 200, () =>
    selfCleaning(build, { onOrphan: "ignore" })[Symbol.asyncDispose](),
  );

  // What a request costs: a scope, its signal with a listener, three tasks.
  const tasks = (scope: Scope): Promise<unknown> =>
    Promise.all([spawn(scope, part), spawn(scope, part), spawn(scope, part)]);
  inTurn("request: signal, 3 spawn", 100, (scope) =>
    withScope(scope, (own) => listening(own.signal, () => tasks(own))),
  );
  inTurn("request: signal, all of 3", 100, (scope) =>
    withScope(scope, (own) => listening(own.signal, () => all(own, [part, part, part]))),
  );
  inTurn("request: 3 spawn", 100, (scope) => withScope(scope, tasks));
  inTurn("by hand: signal, 3", 100, requestByHand);
  inTurn("by hand: 3", 100, () => three(undefined, () => undefined));
  return found;
}
