// Not the global one: a test's fake timers are not for this, and Deno's returns a number.
import { setTimeout } from "node:timers";
import { setBurst } from "../kernel/clock.js";

/** For how many ms requests and their tasks begin at the same time, as far as their ages in reports go. */
const KEPT = 5;

/** A server has a burst for each request: it reads the clock every few ms instead, as nginx does. */
export function keepTime(): void {
  setBurst(later);
}

function later(callback: () => void): void {
  setTimeout(callback, KEPT).unref();
}
