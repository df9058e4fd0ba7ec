// The work of the handlers of the benchmark, by variant, and the report of a server about itself.

import process from "node:process";
import { all, spawn, type Scope } from "../../src/index.js";

/** The work of a handler, and the integration that is mounted. */
export interface Job {
  /** Whether the integration of bough is mounted. */
  readonly mounted: boolean;
  /** Whether something that does nothing is mounted instead. */
  readonly idle: boolean;
  /**
   * @param controller - Makes a controller for the request, which aborts when the client leaves before the answer.
   * @param scope - The scope of the request.
   */
  work(controller: () => AbortController, scope: () => Scope): Promise<unknown>;
}

const body = { hello: "world" };

/** One of the three things a handler does; by itself it takes a turn of the microtask queue. */
async function part(): Promise<number> {
  await Promise.resolve();
  return 1;
}

async function plainWork(): Promise<unknown> {
  await Promise.all([part(), part(), part()]);
  return body;
}

/** Does something while the signal is listened to, as `fetch` would. */
async function listening(signal: AbortSignal, work: () => Promise<unknown>): Promise<unknown> {
  const onAbort = (): void => undefined;
  signal.addEventListener("abort", onAbort);
  await work();
  signal.removeEventListener("abort", onAbort);
  return body;
}

/** The same three things as child tasks of the request's scope. */
const scopedWork = (scope: Scope): Promise<unknown> =>
  listening(scope.signal, () => Promise.all([spawn(scope, part), spawn(scope, part), spawn(scope, part)]));

/** The same with each task awaited in turn: the engine awaits a task in fewer steps than `Promise.all` does. */
const awaitedInTurn = (scope: Scope): Promise<unknown> =>
  listening(scope.signal, async () => {
    const [first, second, third] = [spawn(scope, part), spawn(scope, part), spawn(scope, part)] as const;
    return [await first, await second, await third];
  });

/** The same by the combinator. */
const combinedWork = (scope: Scope): Promise<unknown> =>
  listening(scope.signal, () => all(scope, [part, part, part]));

/** The same job by hand: the first failure aborts the other tasks, and all of them have settled before the answer. */
function handWork(controller: AbortController): Promise<unknown> {
  const { signal } = controller;
  const fail = (error: unknown): void => controller.abort(error);
  return listening(signal, async () => {
    const tasks = [part(), part(), part()];
    for (const task of tasks) task.catch(fail);
    const results = await Promise.allSettled(tasks);
    signal.throwIfAborted(); // with the first failure
    return results;
  });
}

/** The controller and the listener alone: a failure neither aborts the other tasks nor waits for them. */
function unjoinedWork({ signal }: AbortController): Promise<unknown> {
  return listening(signal, () => Promise.all([part(), part(), part()]));
}

/** The job of a variant. */
export function jobOf(variant: string | undefined): Job {
  const used = variant === "used";
  const inTurn = variant === "used, in turn";
  const combined = variant === "all()";
  const byHand = variant === "same job by hand" || variant === "same job by hand, control";
  const unjoined = variant === "by hand, no join";
  return {
    mounted: variant === "unused" || used || inTurn || combined,
    idle: variant === "idle",
    work(controller, scope) {
      if (used) return scopedWork(scope());
      if (inTurn) return awaitedInTurn(scope());
      if (combined) return combinedWork(scope());
      if (byHand) return handWork(controller());
      return unjoined ? unjoinedWork(controller()) : plainWork();
    },
  };
}

/** Says which port the server has, and what it has spent whenever the benchmark asks. */
export function answerBenchmark(port: number): void {
  let before = process.cpuUsage();
  const tell = (): void => {
    const { user, system } = process.cpuUsage(before);
    before = process.cpuUsage();
    process.send?.({ cpu: user + system, heap: process.memoryUsage().heapUsed });
  };
  // V8 keeps a shape that nothing has any more for some collections, and a tick that waits would keep that of ticks.
  process.on("message", (message) => {
    if (message !== "collect") return tell();
    setTimeout(() => {
      for (let round = 0; round < 6; round++) globalThis.gc?.();
      tell();
    }, 5);
  });
  process.once("disconnect", () => process.exit());
  process.send?.({ port });
}
