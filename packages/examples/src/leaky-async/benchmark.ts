import { createScope, type Scope } from "bough";
import { collectGarbage } from "bough/testing";
import { MAX_INT32 } from "./perform.js";

export interface Figures {
  /** Nanoseconds of one call, scaled up to as many rounds as the original's loops have. */
  readonly time: number;
  /** Bytes that a call leaves behind, in a parent that lives on. */
  readonly left: number;
}

const CALLS = 5;
/** For the bytes: many, since each leaves little. */
const SHORT_CALLS = 10_000;

/** Measures a pattern. `rounds` is the length of its loop, shorter than the original's. */
export async function measure(
  pattern: (parent: Scope, rounds: number) => void | Promise<void>,
  rounds: number,
): Promise<Figures> {
  await using parent = createScope();
  const times: number[] = [];
  for (let call = 0; call < CALLS; call += 1) {
    const started = performance.now();
    await pattern(parent, rounds);
    times.push(performance.now() - started);
  }
  const milliseconds = Math.min(...times);
  return {
    time: ((milliseconds * 1e6) / rounds) * MAX_INT32,
    left: await bytesLeft(() => pattern(parent, 1)),
  };
}

async function bytesLeft(call: () => void | Promise<void>): Promise<number> {
  await call();
  await collectGarbage();
  const before = process.memoryUsage().heapUsed;
  for (let count = 0; count < SHORT_CALLS; count += 1) await call();
  await collectGarbage();
  return Math.max((process.memoryUsage().heapUsed - before) / SHORT_CALLS, 0);
}
