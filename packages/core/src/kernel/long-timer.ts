import { MAX_DELAY } from "./constants.js";
import { inexactClock, isRealTimer, detectRealTimer } from "./monotonic-clock.js";
import { currentClearTimeout, currentSetTimeout, realTimers } from "./platform.js";
import { mustUnref, setTimerHold, type TimerHandle } from "./timer-hold.js";

/**
 * Sets a timer, with the global `setTimeout` that is installed at the moment of the call, so that fake timers work.
 *
 * @param callback - Called with `owner`, so that it need not be a closure; and with the rest of a delay that is longer than
 *   `setTimeout` takes. A timer without that second argument is eight bytes smaller.
 */
export function setTimer<T>(callback: (owner: T, rest?: number) => void, ms: number, owner: T): TimerHandle {
  const clock = inexactClock();
  if (clock === undefined && ms <= MAX_DELAY) return currentSetTimeout()(callback, ms, owner);
  return setUnusualTimer(callback, ms, owner, clock);
}

/** Separate from {@link setTimer}, so that the engine inlines that function. */
function setUnusualTimer<T>(
  callback: (owner: T, rest?: number) => void,
  ms: number,
  owner: T,
  clock: ReturnType<typeof inexactClock>,
): TimerHandle {
  const set = currentSetTimeout();
  const step = Math.min(ms, MAX_DELAY);
  const rest = ms > step ? ms - step : undefined;
  if (clock === undefined) return set(callback, step, owner, rest);
  const due = clock.now() + step;
  const timer = set(() => {
    clock.reach(due);
    callback(owner, rest);
  }, step);
  detectRealTimer(timer);
  return timer;
}

/**
 * Clears a timer, even if fake timers were installed after it was set: their `clearTimeout` does not clear a real
 * timer.
 */
export function clearTimer(timer: TimerHandle | undefined): void {
  const clear = currentClearTimeout();
  if (clear !== realTimers.clearTimeout && isRealTimer(timer)) realTimers.clearTimeout(timer);
  else clear(timer);
}

let watcher: ((timer: TimerHandle, owner: object) => void) | undefined;

/** Sets the callback that receives each timer with its owner. The leak finder uses it. */
export function setTimerWatcher(callback: typeof watcher): void {
  watcher = callback;
}

/** Announces that `timer` belongs to the node `owner`. */
export function announceTimer(timer: TimerHandle, owner: object): void {
  if (mustUnref(owner, timer)) setTimerHold(timer, false);
  watcher?.(timer, owner);
}

/** A timer of any duration. It follows fake timers. */
export class LongTimer {
  #handle: TimerHandle | undefined;
  #held = true;
  readonly #owner: object | undefined;

  readonly #callback: (owner: never) => void;

  /**
   * @param callback - Called with `owner`, so that it need not be a closure.
   * @param owner - The node that the timer belongs to. The timer is cleared when the node settles.
   */
  constructor(delay: number, callback: (owner: never) => void, owner?: object) {
    this.#owner = owner;
    this.#callback = callback;
    this.#start(delay);
  }

  #start(delay: number): void {
    this.#handle = setTimer(LongTimer.#wake, delay, this);
    if (this.#owner !== undefined) announceTimer(this.#handle, this.#owner);
    if (!this.#held) setTimerHold(this.#handle, false);
  }

  static #wake(this: void, timer: LongTimer, rest?: number): void {
    timer.#handle = undefined;
    if (rest !== undefined) return timer.#start(rest);
    const callback = timer.#callback;
    callback(timer.#owner as never);
  }

  clear(): void {
    if (this.#handle !== undefined) clearTimer(this.#handle);
    this.#handle = undefined;
  }

  /** Whether the pending timer keeps the process alive; a no-op where timers can't choose. */
  hold(held: boolean): void {
    this.#held = held;
    setTimerHold(this.#handle, held && !mustUnref(this.#owner, this.#handle));
  }
}
