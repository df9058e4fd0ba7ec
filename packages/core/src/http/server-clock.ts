import { setBurst } from "../kernel/age-clock.js";
import { isFake, realTimers, setUnheldTimer } from "../kernel/platform.js";

/** For how many ms requests and their tasks begin at the same time, as far as their ages in reports go. */
const KEPT = 5;

/** A server has a burst for each request: it reads the clock every few ms instead, as nginx does. */
export function keepTime(): void {
  if (isFake(realTimers.setTimeout)) return; // one that nobody moves would keep the time for ever
  setBurst((forget) => setUnheldTimer(forget, KEPT));
}
