import { isRealTimer } from "./monotonic-clock.js";
import { timersHoldProcess } from "./state.js";

// Whether a single timer keeps the process alive. `process-hold.ts` decides it for the timers of whole scopes.

/** The result of the global `setTimeout`: an object on Node, a number elsewhere and under some fake timers. */
export type TimerHandle = ReturnType<typeof setTimeout>;

/** The part of a node that this file reads. */
interface TimerOwner {
  readonly flags: number;
  readonly parent: TimerOwner | undefined;
}

/** The scopes with the option `holdsProcess: false`. */
const optedOut = new WeakSet<object>();

export function optOutOfHold(node: object): void {
  optedOut.add(node);
}

/** Whether `node` has the option `holdsProcess: false`. */
export function isOptedOutOfHold(node: object): boolean {
  return optedOut.has(node);
}

/**
 * Whether a timer of `owner` must not keep the process alive. A fake timer keeps it alive unless an option says
 * otherwise: `idle-process.ts` decides when a real event loop is empty.
 */
export function mustUnref(owner: object | undefined, timer: TimerHandle | undefined): boolean {
  if (owner === undefined || timersHoldProcess(owner as TimerOwner)) return false;
  if (isRealTimer(timer)) return true;
  let at: TimerOwner | undefined = owner as TimerOwner;
  while (at !== undefined && !optedOut.has(at)) at = at.parent;
  return at !== undefined;
}

/** Sets whether `timer` keeps the process alive. Does nothing on platforms without that choice. */
export function setTimerHold(timer: TimerHandle | undefined, held: boolean): void {
  if (typeof timer === "object") {
    const handle: { ref?: () => void; unref?: () => void } = timer;
    if (held) handle.ref?.();
    else handle.unref?.();
  } else if (typeof timer === "number") {
    const { Deno } = globalThis as { Deno?: { refTimer(id: number): void; unrefTimer(id: number): void } };
    if (held) Deno?.refTimer(timer);
    else Deno?.unrefTimer(timer);
  }
}
