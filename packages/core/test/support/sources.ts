import type { EventEmitter } from "node:events";
import { Duplex, Readable } from "node:stream";
import fc from "fast-check";
import { expect } from "vitest";
import type { StreamSource } from "../../src/streams/index.js";
import { flush } from "./deferred.js";
import type { Steps } from "./steps.js";

/** How long something takes: not at all, or until the microtasks, `process.nextTick` or the event loop have had a turn. */
export type Pace = "at once" | "microtask" | "tick" | "turn";

export const paces: fc.Arbitrary<Pace> = fc.constantFrom("at once", "microtask", "tick", "turn");

export function after(pace: Pace): Promise<void> | undefined {
  if (pace === "at once") return undefined;
  if (pace === "microtask") return Promise.resolve();
  return pace === "tick" ? new Promise((resolve) => process.nextTick(resolve)) : flush();
}

/** The behaviour of a source: it yields the numbers from 0, and then ends, fails or falls silent. */
export interface SourcePlan {
  readonly items: number;
  readonly end: "ends" | "fails" | "is silent";
  readonly pace: Pace;
  /** How long it takes to close, and whether that fails. */
  readonly closing: Pace;
  readonly closeFails: boolean;
}

export const sourcePlans: fc.Arbitrary<SourcePlan> = fc.record<SourcePlan>({
  items: fc.integer({ min: 0, max: 4 }),
  end: fc.constantFrom("ends", "fails", "is silent"),
  pace: paces,
  closing: paces,
  closeFails: fc.constantFrom(false, false, true),
});

/** A source, and what has been done to it. */
export interface Watched {
  readonly source: StreamSource<number>;
  readonly failure: Error;
  /** The error that it has thrown when it was closed. */
  readonly thrown: Error[];
  /** Whether anything was asked of it. */
  begun: boolean;
  /** Whether it has ended or failed by itself. */
  over: boolean;
  /** How often it was closed, and how often that was through. */
  closes: number;
  closed: number;
  /** Whether nobody has a reader, a listener or a read that is pending. */
  isFree: () => boolean;
}

export type SourceKind = "an async iterator" | "a ReadableStream" | "a Readable" | "a Duplex";

/** The state of a source that was not read. */
function untouched(): Omit<Watched, "source" | "isFree"> {
  return { failure: new Error("source"), thrown: [], begun: false, over: false, closes: 0, closed: 0 };
}

/** An iterator that minds the rules: it counts every `next()` after the end or beside another, and every `return()`. */
function makeIterator(plan: SourcePlan, steps: Steps): Watched {
  let [given, reading] = [0, 0];
  let wake: () => void = () => undefined;
  const watched: Watched = {
    ...untouched(),
    isFree: () => reading === 0,
    source: {
      [Symbol.asyncIterator]: () => ({
        async next(): Promise<IteratorResult<number>> {
          steps.point();
          if (watched.over || watched.closes > 0 || reading > 0) throw new Error("read out of turn");
          watched.begun = true;
          reading += 1;
          await after(plan.pace);
          if (given < plan.items) {
            reading -= 1;
            return { done: false, value: given++ };
          }
          if (plan.end === "is silent" && watched.closes === 0)
            await new Promise<void>((resolve) => (wake = resolve));
          reading -= 1;
          watched.over = true;
          if (plan.end === "fails") throw watched.failure;
          return { done: true, value: undefined };
        },
        async return(): Promise<IteratorResult<number>> {
          steps.point();
          watched.closes += 1;
          await after(plan.closing);
          watched.closed += 1;
          wake();
          if (plan.closeFails) throw closingError(watched);
          return { done: true, value: undefined };
        },
      }),
    },
  };
  return watched;
}

function makeWeb(plan: SourcePlan, steps: Steps): Watched {
  let given = 0;
  const stream = new ReadableStream<number>(
    {
      async pull(controller) {
        steps.point();
        watched.begun = true;
        await after(plan.pace);
        if (watched.closes > 0) return;
        if (given < plan.items) return controller.enqueue(given++);
        if (plan.end === "is silent") return new Promise(() => undefined);
        watched.over = true;
        if (plan.end === "fails") controller.error(watched.failure);
        else controller.close();
      },
      async cancel() {
        steps.point();
        watched.closes += 1;
        await after(plan.closing);
        watched.closed += 1;
        if (plan.closeFails) throw closingError(watched);
      },
    },
    { highWaterMark: 0 },
  );
  const watched: Watched = { ...untouched(), source: stream, isFree: () => !stream.locked };
  return watched;
}

/** @param Kind - A `Duplex` is not closed when it has been read to its end: it can still be written to. */
function makeNode(Kind: typeof Readable | typeof Duplex, plan: SourcePlan, steps: Steps): Watched {
  let given = 0;
  const stream = new Kind({
    objectMode: true,
    highWaterMark: 1,
    read() {
      steps.point();
      watched.begun = true;
      void give();
    },
    destroy(error, callback) {
      steps.point();
      watched.closes += 1;
      void close(error, callback);
    },
  });
  const give = async (): Promise<void> => {
    await after(plan.pace);
    if (stream.destroyed) return;
    if (given < plan.items) return void stream.push(given++);
    if (plan.end === "is silent") return;
    watched.over = true;
    if (plan.end === "fails") stream.destroy(watched.failure);
    else stream.push(null);
  };
  const close = async (error: Error | null, callback: (error: Error | null) => void): Promise<void> => {
    await after(plan.closing);
    watched.closed += 1;
    callback(error ?? (plan.closeFails ? closingError(watched) : null));
  };
  const before = listenersOf(stream);
  const watched: Watched = {
    ...untouched(),
    source: stream as StreamSource<never>,
    isFree: () => listenersOf(stream) === before,
  };
  return watched;
}

function closingError({ thrown }: Watched): Error {
  thrown.push(new Error("closing"));
  return thrown.at(-1) as Error;
}

export function listenersOf(emitter: EventEmitter): number {
  return emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0);
}

export const makeSource: Readonly<Record<SourceKind, (plan: SourcePlan, steps: Steps) => Watched>> = {
  "an async iterator": makeIterator,
  "a ReadableStream": makeWeb,
  "a Readable": (plan, steps) => makeNode(Readable, plan, steps),
  "a Duplex": (plan, steps) => makeNode(Duplex, plan, steps),
};

/** A source that was begun and has not ended is closed once, and the close is awaited. */
export function expectSourceClosed(source: Watched, kind: SourceKind, cut: boolean): void {
  if (source.begun && !source.over) expect([source.closes, source.closed]).toEqual([1, 1]);
  // A cancellation may meet the end of the source; and Node destroys its streams by itself.
  else if (!cut && (kind === "an async iterator" || kind === "a ReadableStream"))
    expect(source.closes).toBe(0);
  expect(source.closes).toBeLessThanOrEqual(1);
}
