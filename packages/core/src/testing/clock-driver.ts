import { snapshot } from "../inspect/index.js";
import { describe } from "../errors/describe.js";
import { realTimers } from "../kernel/platform.js";
import { MAX_DELAY } from "../kernel/timer.js";
import { checkDuration } from "../task/options.js";
import { delay, now, turn } from "./clock.js";
import { installedClock, type FakeClock } from "./fake-timers.js";
import { IdleWatch } from "./idle.js";
import { VirtualClockError } from "./virtual-clock-error.js";

export interface DriverOptions {
  readonly autojump: boolean;
  readonly quiet: number;
  readonly blockedAfter: number;
  readonly jumps: number;
}

/** Real ms between two looks at whether something blocked goes on after all. */
const LOOK = 10;

/** Moves a fake clock from timer to timer, each time when all that the last one brought about has happened. */
export class ClockDriver {
  readonly #clock: FakeClock;
  readonly #options: DriverOptions;
  readonly #watch: IdleWatch;
  readonly #onStuck: (error: VirtualClockError) => void;
  #stopped = false;
  #jumps = 0;
  /** How many `advance` calls the clock is on its way for. */
  #targets = 0;
  /** Those that have arrived, to be told when all else that was due has happened. */
  #arrived: (() => void)[] = [];

  constructor(clock: FakeClock, options: DriverOptions, onStuck: (error: VirtualClockError) => void) {
    this.#clock = clock;
    this.#options = options;
    this.#onStuck = onStuck;
    this.#watch = new IdleWatch(options.quiet);
  }

  start(): void {
    void this.#drive();
  }

  stop(): void {
    this.#stopped = true;
    this.#watch.stop();
  }

  async advance(ms: number): Promise<void> {
    if (ms === undefined) throw new TypeError(`advance: ms must be a number, got ${describe(ms)}`);
    checkDuration("advance", "ms", ms);
    if (ms === Infinity) throw new RangeError("advance: ms must be finite, got Infinity");
    this.#targets += 1;
    await new Promise<void>((resolve) => this.#aim(ms, () => this.#arrived.push(resolve)));
  }

  #aim(ms: number, arrive: () => void): void {
    const step = Math.min(ms, MAX_DELAY);
    this.#clock.setTimeout(() => (ms > step ? this.#aim(ms - step, arrive) : arrive()), step);
  }

  async #drive(): Promise<void> {
    for (;;) {
      await this.#watch.idle();
      if (this.#stopped) return;
      if (this.#arrived.length > 0) await this.#arrive();
      else if (this.#mayJump()) this.#jump();
      else await this.#judge();
    }
  }

  #mayJump(): boolean {
    return this.#clock.countTimers() > 0 && (this.#options.autojump || this.#targets > 0);
  }

  #jump(): void {
    if (++this.#jumps > this.#options.jumps) {
      this.#jumps = 0;
      const why = `time has jumped ${this.#options.jumps} times, and there is still no end (an interval that nobody stops?)`;
      return this.#onStuck(new VirtualClockError("BOUGH_ENDLESS", why, snapshot()));
    }
    this.#call(() => this.#clock.next());
  }

  async #arrive(): Promise<void> {
    this.#call(() => this.#clock.tick(0)); // what was set for this very instant, after `advance` was called
    await this.#watch.idle();
    const arrived = this.#arrived.splice(0);
    this.#targets -= arrived.length;
    for (const resolve of arrived) resolve();
  }

  /** A timer's callback that throws is an uncaught exception, as always. */
  #call(move: () => void): void {
    try {
      move();
    } catch (error) {
      realTimers.queueMicrotask(() => {
        throw error;
      });
    }
  }

  /** There is nothing to jump to. Waits until there is, or until it is clear that nothing will ever happen. */
  async #judge(): Promise<void> {
    const { blockedAfter, autojump } = this.#options;
    for (let since = now(); now() - since < blockedAfter;) {
      await (now() - since < LOOK ? turn() : delay(LOOK));
      if (this.#stopped || this.#mayJump()) return;
      // Without our timers in place, time is somebody else's.
      if (this.#watch.isBusy() || installedClock() !== this.#clock) since = now();
    }
    const timers = this.#clock.countTimers();
    const held = timers === 1 ? "a timer waits for advance()" : `${timers} timers wait for advance()`;
    const nothing = autojump || timers === 0 ? "no timer is pending" : held;
    const why = `everything is blocked: ${nothing}, and nothing has happened for ${blockedAfter} ms`;
    this.#onStuck(new VirtualClockError("BOUGH_BLOCKED", why, snapshot()));
  }
}
