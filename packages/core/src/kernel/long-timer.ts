import { UNHELD } from "./state.js";
import { hiddenClock, isRealTimer, learnFrom } from "./age-clock.js";
import { currentClearTimeout, currentSetTimeout, realTimers } from "./platform.js";

/** What the global `setTimeout` returns: an object on Node, a number elsewhere and under some fake timers. */
export type TimerHandle = ReturnType<typeof setTimeout>;

/** The longest delay `setTimeout` takes; a longer one fires at once. */
export const MAX_DELAY: number = 2 ** 31 - 1;

/**
 * A timer of the user's time: whatever `setTimeout` is in place at the moment of the call, so that fake timers work.
 * `ms` is at most {@link MAX_DELAY}. The callback gets two values; a rest parameter would take as long as the rest.
 */
export function setTimer<A, B>(callback: (a: A, b: B) => void, ms: number, a: A, b: B): TimerHandle {
  const set = currentSetTimeout();
  const clock = hiddenClock();
  if (clock === undefined) return set(callback, ms, a, b);
  const due = clock.now() + ms;
  const timer = set(() => {
    clock.reach(due);
    callback(a, b);
  }, ms);
  learnFrom(timer);
  return timer;
}

/** Clears it also where fake timers have come since it was set: theirs leave a real one running. */
export function clearTimer(timer: TimerHandle | undefined): void {
  const clear = currentClearTimeout();
  if (clear !== realTimers.clearTimeout && isRealTimer(timer)) realTimers.clearTimeout(timer);
  else clear(timer);
}

let watcher: ((timer: TimerHandle, owner: object) => void) | undefined;

/** Sets the callback that receives each timer with its owner: the leak finder's, since such a timer ends with its scope. */
export function setTimerWatcher(callback: typeof watcher): void {
  watcher = callback;
}

/** Says that `timer` belongs to the scope `owner`, a node. */
export function timerSet(timer: TimerHandle, owner: object): void {
  if (isUnheld(owner)) refer(timer, false);
  watcher?.(timer, owner);
}

function isUnheld(owner: object | undefined): boolean {
  return owner !== undefined && ((owner as { flags: number }).flags & UNHELD) !== 0;
}

/** Whether `timer` keeps the process alive; a no-op where timers can't choose. */
function refer(timer: TimerHandle | undefined, held: boolean): void {
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

/** One delay that may be longer than `setTimeout` takes, of the user's time. */
export class LongTimer {
  #handle: TimerHandle | undefined;
  #held = true;
  readonly #owner: object | undefined;

  readonly #callback: () => void;

  /** @param owner - The node whose timer it is: it is cleared when that has ended. */
  constructor(delay: number, callback: () => void, owner?: object) {
    this.#owner = owner;
    this.#callback = callback;
    this.#start(delay);
  }

  #start(delay: number): void {
    const step = Math.min(delay, MAX_DELAY);
    this.#handle = setTimer(LongTimer.#wake, step, this, delay - step);
    if (this.#owner !== undefined) timerSet(this.#handle, this.#owner);
    if (!this.#held) this.hold(false);
  }

  static #wake(this: void, timer: LongTimer, rest: number): void {
    timer.#handle = undefined;
    if (rest > 0) return timer.#start(rest);
    const callback = timer.#callback;
    callback();
  }

  clear(): void {
    if (this.#handle !== undefined) clearTimer(this.#handle);
    this.#handle = undefined;
  }

  /** Whether the pending timer keeps the process alive; a no-op where timers can't choose. */
  hold(held: boolean): void {
    this.#held = held;
    refer(this.#handle, held && !isUnheld(this.#owner));
  }
}
