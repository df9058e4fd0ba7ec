import { Writable } from "node:stream";
import fc from "fast-check";
import { after, listenersOf, paces, type Pace } from "./sources.js";
import type { Steps } from "./steps.js";

/** The behaviour of a sink. */
export interface SinkPlan {
  readonly writing: Pace;
  readonly ending: Pace;
  readonly aborting: Pace;
  readonly highWaterMark: number;
  /** Which write fails, if any; `"end"` for the last thing it has to do. */
  readonly fails: number | "end" | undefined;
  readonly abortFails: boolean;
}

export const sinkPlans: fc.Arbitrary<SinkPlan> = fc.record<SinkPlan>({
  writing: paces,
  ending: paces,
  aborting: paces,
  highWaterMark: fc.constantFrom(1, 3),
  fails: fc.constantFrom<SinkPlan["fails"][]>(undefined, undefined, undefined, 0, 2, "end"),
  abortFails: fc.constantFrom(false, false, false, true),
});

/** A sink, and what has been done to it. */
export interface WatchedSink {
  readonly sink: WritableStream<number> | Writable;
  readonly failure: Error;
  /** The error that it has thrown when it was aborted. */
  readonly thrown: Error[];
  /** The chunks that it has received, in order. */
  readonly given: number[];
  /** Whether everything was written and it has come to its end. */
  ended: boolean;
  failed: boolean;
  /** How often it was aborted, and how often that was through. */
  aborts: number;
  aborted: number;
  /** Whether nobody has a writer or a listener. */
  isFree: () => boolean;
}

export type SinkKind = "a WritableStream" | "a Writable";

class Watch implements WatchedSink {
  sink!: WritableStream<number> | Writable;
  isFree!: () => boolean;
  readonly failure: Error = new Error("sink");
  readonly thrown: Error[] = [];
  readonly given: number[] = [];
  ended = false;
  failed = false;
  aborts = 0;
  aborted = 0;
  readonly #plan: SinkPlan;
  readonly #steps: Steps;

  constructor(plan: SinkPlan, steps: Steps) {
    this.#plan = plan;
    this.#steps = steps;
  }

  async write(chunk: number): Promise<void> {
    this.#steps.point();
    const count = this.given.push(chunk);
    await after(this.#plan.writing);
    if (this.#plan.fails === count - 1) this.#fail();
  }

  async end(): Promise<void> {
    this.#steps.point();
    await after(this.#plan.ending);
    if (this.#plan.fails === "end") this.#fail();
    this.ended = true;
  }

  /** @param because - What Node destroys it for, which then is all that is heard of. */
  async abort(because?: unknown): Promise<void> {
    this.#steps.point();
    this.aborts += 1;
    await after(this.#plan.aborting);
    this.aborted += 1;
    if (!this.#plan.abortFails || because instanceof Error) return;
    this.thrown.push(new Error("abort"));
    throw this.thrown.at(-1);
  }

  #fail(): never {
    this.failed = true;
    throw this.failure;
  }
}

function makeWeb(plan: SinkPlan, steps: Steps): WatchedSink {
  const watch = new Watch(plan, steps);
  const sink = new WritableStream<number>(
    { write: (chunk) => watch.write(chunk), close: () => watch.end(), abort: () => watch.abort() },
    { highWaterMark: plan.highWaterMark },
  );
  return Object.assign(watch, { sink, isFree: () => !sink.locked });
}

async function answer(
  work: Promise<void>,
  before: Error | null,
  callback: (error: Error | null) => void,
): Promise<void> {
  let error = before;
  try {
    await work;
  } catch (thrown) {
    error = thrown as Error;
  }
  callback(error);
}

function makeNode(plan: SinkPlan, steps: Steps): WatchedSink {
  const watch = new Watch(plan, steps);
  const sink = new Writable({
    objectMode: true,
    highWaterMark: plan.highWaterMark,
    write: (chunk: number, _, callback) => void answer(watch.write(chunk), null, callback),
    final: (callback) => void answer(watch.end(), null, callback),
    destroy: (error, callback) => void answer(watch.abort(error), error, callback),
  });
  const before = listenersOf(sink);
  return Object.assign(watch, { sink, isFree: () => listenersOf(sink) === before });
}

export const makeSink: Readonly<Record<SinkKind, (plan: SinkPlan, steps: Steps) => WatchedSink>> = {
  "a WritableStream": makeWeb,
  "a Writable": makeNode,
};
