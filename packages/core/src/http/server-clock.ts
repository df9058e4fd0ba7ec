// For `unref`: Deno's global `setTimeout` returns a number.
import * as timers from "node:timers";
import { setBurst } from "../kernel/clock.js";
import { isFake, originalOf } from "../kernel/platform.js";

/** For how many ms requests and their tasks begin at the same time, as far as their ages in reports go. */
const KEPT = 5;

// At load: a test's fake timers must not make the time that was read last for ever.
const setTimeout = originalOf(timers, "setTimeout");

/** A server has a burst for each request: it reads the clock every few ms instead, as nginx does. */
export function keepTime(): void {
  if (!isFake(setTimeout)) setBurst(later);
}

function later(callback: () => void): void {
  setTimeout(callback, KEPT).unref();
}
