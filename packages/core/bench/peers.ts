import { spawn as spawnAbortable } from "abort-controller-x";
import { Effect, Fiber, FiberSet } from "effect";
import { run, spawn as spawnOperation } from "effection";
import pLimit from "p-limit";

/** The work of a child that has nothing to do. */
export async function trivial(): Promise<number> {
  return 1;
}

/** The lower bound: nobody owns the calls, nobody can stop them. */
export function promiseAll(count: number): Promise<unknown> {
  const promises: Promise<number>[] = [];
  for (let index = 0; index < count; index++) promises.push(trivial());
  return Promise.all(promises);
}

/** A tree by hand, done well: the parent keeps the controllers of its children in a set, and each leaves it. */
export async function controllerSet(count: number): Promise<void> {
  const children = new Set<AbortController>();
  const promises: Promise<number>[] = [];
  for (let index = 0; index < count; index++) promises.push(withController(children));
  await Promise.all(promises);
}

async function withController(children: Set<AbortController>): Promise<number> {
  const controller = new AbortController();
  children.add(controller);
  try {
    return await abortable(controller.signal);
  } finally {
    children.delete(controller);
  }
}

/** A tree by hand, done the obvious way: each child listens to its parent's signal. */
export async function controllerListeners(count: number): Promise<void> {
  const parent = new AbortController();
  const promises: Promise<number>[] = [];
  for (let index = 0; index < count; index++) promises.push(withListener(parent.signal));
  await Promise.all(promises);
}

async function withListener(parent: AbortSignal): Promise<number> {
  const controller = new AbortController();
  const onAbort = controller.abort.bind(controller);
  parent.addEventListener("abort", onAbort, { once: true });
  try {
    return await abortable(controller.signal);
  } finally {
    parent.removeEventListener("abort", onAbort);
  }
}

export async function abortSignalAny(count: number): Promise<void> {
  const parent = new AbortController();
  const promises: Promise<number>[] = [];
  for (let index = 0; index < count; index++) {
    promises.push(abortable(AbortSignal.any([parent.signal, new AbortController().signal])));
  }
  await Promise.all(promises);
}

/** Takes the signal, as a worker that wants to be stopped has to. */
async function abortable(signal: AbortSignal): Promise<number> {
  return signal.aborted ? 0 : 1;
}

export async function limited(count: number): Promise<void> {
  const limit = pLimit(Infinity);
  const promises: Promise<number>[] = [];
  for (let index = 0; index < count; index++) promises.push(limit(trivial));
  await Promise.all(promises);
}

export async function abortControllerX(count: number): Promise<void> {
  const { signal } = new AbortController();
  await spawnAbortable(signal, async (_signal, effects) => {
    const joins: Promise<number>[] = [];
    for (let index = 0; index < count; index++) joins.push(effects.fork(trivial).join());
    await Promise.all(joins);
  });
}

export async function effection(count: number): Promise<void> {
  await run(function* () {
    const tasks = [];
    for (let index = 0; index < count; index++) tasks.push(yield* spawnOperation(trivialOperation));
    for (const task of tasks) yield* task;
  });
}

// eslint-disable-next-line require-yield -- an operation without a step is the cheapest there is
function* trivialOperation(): Generator<never, number, unknown> {
  return 1;
}

/** The cheapest effect with a result; one that calls an async function costs more. */
const trivialEffect = Effect.sync(() => 1);

export function effectForkChild(count: number): Promise<void> {
  return Effect.runPromise(
    Effect.gen(function* () {
      const fibers = [];
      for (let index = 0; index < count; index++) fibers.push(yield* Effect.forkChild(trivialEffect));
      for (const fiber of fibers) yield* Fiber.join(fiber);
    }),
  );
}

export function effectForkScoped(count: number): Promise<void> {
  const program = Effect.gen(function* () {
    const fibers = [];
    for (let index = 0; index < count; index++) fibers.push(yield* Effect.forkScoped(trivialEffect));
    for (const fiber of fibers) yield* Fiber.join(fiber);
  });
  return Effect.runPromise(Effect.scoped(program));
}

export function effectFiberSet(count: number): Promise<void> {
  const program = Effect.gen(function* () {
    const set = yield* FiberSet.make();
    for (let index = 0; index < count; index++) yield* FiberSet.run(set, trivialEffect);
    yield* FiberSet.awaitEmpty(set);
  });
  return Effect.runPromise(Effect.scoped(program));
}
