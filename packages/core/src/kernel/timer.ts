/** What the global `setTimeout` returns: an object on Node, a number elsewhere and under some fake timers. */
export type TimerHandle = ReturnType<typeof setTimeout>;

/** The longest delay `setTimeout` takes; a longer one fires at once. */
export const MAX_DELAY: number = 2 ** 31 - 1;

/** One delay that may be longer than `setTimeout` takes. Looks the global up at call time: fake timers work. */
export class LongTimer {
  #handle: TimerHandle | undefined;
  #held = true;

  constructor(delay: number, callback: () => void) {
    this.#start(delay, callback);
  }

  #start(delay: number, callback: () => void): void {
    const step = Math.min(delay, MAX_DELAY);
    this.#handle = setTimeout(() => {
      this.#handle = undefined;
      if (delay > step) this.#start(delay - step, callback);
      else callback();
    }, step);
    if (!this.#held) this.hold(false);
  }

  clear(): void {
    if (this.#handle !== undefined) clearTimeout(this.#handle);
    this.#handle = undefined;
  }

  /** Whether the pending timer keeps the process alive; a no-op where timers can't choose. */
  hold(held: boolean): void {
    this.#held = held;
    const handle = this.#handle as { ref?: () => void; unref?: () => void } | undefined;
    if (typeof handle !== "object") return;
    if (held) handle.ref?.();
    else handle.unref?.();
  }
}
