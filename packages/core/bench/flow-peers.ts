import { Effect, Queue, Semaphore } from "effect";
import { all, createQueue, race as raceOperations, run, spawn, suspend, type Operation } from "effection";
import pLimit from "p-limit";
import PQueue from "p-queue";
import { trivial } from "./peers.js";

const items = (count: number): number[] => [...Array(count).keys()];

export function mapLimited(count: number, concurrency: number): Promise<unknown> {
  const limit = pLimit(concurrency);
  return Promise.all(items(count).map(() => limit(trivial)));
}

export function mapQueued(count: number, concurrency: number): Promise<unknown> {
  const queue = new PQueue({ concurrency });
  return queue.addAll(items(count).map(() => trivial));
}

export function mapEffect(count: number, concurrency: number): Promise<unknown> {
  return Effect.runPromise(Effect.forEach(items(count), () => Effect.promise(trivial), { concurrency }));
}

/** Effection has no bounded map: so many operations that share an iterator and spawn, as one writes it by hand. */
export async function mapEffection(count: number, concurrency: number): Promise<void> {
  await run(function* () {
    const source = items(count).values();
    function* worker(): Operation<void> {
      for (const item of source) yield* yield* spawn(() => step(item));
    }
    yield* all(Array.from({ length: concurrency }, () => worker()));
  });
}

// eslint-disable-next-line require-yield -- an operation without a step is the cheapest there is
function* step(item: number): Operation<number> {
  return item;
}

export function channelEffect(count: number, capacity: number): Promise<void> {
  return Effect.runPromise(
    Effect.gen(function* () {
      const queue = yield* Queue.bounded<number>(capacity);
      yield* Effect.forkChild(
        Effect.gen(function* () {
          for (let n = 0; n < count; n++) yield* Queue.offer(queue, n);
        }),
      );
      for (let n = 0; n < count; n++) yield* Queue.take(queue);
    }),
  );
}

/** Effection's queue has no bound, so its sender never waits. */
export async function queueEffection(count: number): Promise<void> {
  await run(function* () {
    const queue = createQueue<number, never>();
    // eslint-disable-next-line require-yield -- its sender never waits
    yield* spawn(function* () {
      for (let n = 0; n < count; n++) queue.add(n);
    });
    for (let n = 0; n < count; n++) yield* queue.next();
  });
}

export function semaphoreEffect(count: number, permits: number): Promise<unknown> {
  return Effect.runPromise(
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(permits);
      const work = semaphore.withPermits(1)(Effect.promise(trivial));
      yield* Effect.forEach(items(count), () => work, { concurrency: "unbounded" });
    }),
  );
}

/** One that wins against one that never ends, again and again. */
export async function racePromises(count: number): Promise<void> {
  for (let n = 0; n < count; n++) await Promise.race([trivial(), new Promise(() => undefined)]);
}

export function raceEffect(count: number): Promise<void> {
  const one = Effect.raceFirst(Effect.promise(trivial), Effect.never);
  return Effect.runPromise(
    Effect.gen(function* () {
      for (let n = 0; n < count; n++) yield* one;
    }),
  );
}

export async function raceEffection(count: number): Promise<void> {
  await run(function* () {
    for (let n = 0; n < count; n++) yield* raceOperations<Operation<unknown>>([step(1), suspend()]);
  });
}
