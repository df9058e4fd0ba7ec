import { requireFiniteDuration } from "../../errors/validate.js";
import { snapshot } from "../../inspect/index.js";
import { realQueueMicrotask } from "../../kernel/platform.js";
import { MAX_DELAY } from "../../kernel/constants.js";
import { delay, now, turn } from "./real-time.js";
import { describeResource } from "../leaks/describe-resource.js";
import { installedClock, type FakeClock } from "./fake-timers.js";
import { IdleWatch } from "./idle-watch.js";
import type { RealTimer } from "./real-resources.js";
import { VirtualClockError } from "./virtual-clock-error.js";

export interface DriverOptions {
  readonly autojump: boolean;
  readonly quiet: number;
  readonly blockedAfter: number;
  readonly stalledAfter: number;
  readonly jumps: number;
}

/**
 * After the process was reported as stalled, time advances for the cleanups although the process is busy: this many
 * jumps.
 */
const CLEANUP_JUMPS = 30;
/** How long the process may be busy after that before the next jump, in real ms. */
const LIMIT_AFTER_STALL = 100;

/** Real ms between two checks whether blocked work continues. */
const CHECK_INTERVAL = 10;

/** Moves a fake clock from timer to timer, each time after all effects of the previous one. */
export class ClockDriver {
  readonly #clock: FakeClock;
  readonly #options: DriverOptions;
  readonly #watch: IdleWatch;
  readonly #onStuck: (error: VirtualClockError) => void;
  readonly #isOver: () => boolean;
  #stopped = false;
  #cleanupJumps = 0;
  /** Real ms that the process may be busy before it is reported as stalled. */
  #limit: number;
  #jumps = 0;
  /** The number of pending `advance` calls. */
  #targets = 0;
  /** The `advance` calls whose time has come. They resolve when all due timers have fired. */
  #reached: (() => void)[] = [];

  /**
   * @param onStuck - Called when time can't advance, to cancel the body. Called again if the body has not ended after
   *   that.
   * @param isOver - Whether the clock is no longer needed.
   */
  constructor(
    clock: FakeClock,
    options: DriverOptions,
    onStuck: (error: VirtualClockError) => void,
    isOver: () => boolean,
  ) {
    this.#clock = clock;
    this.#options = options;
    this.#onStuck = onStuck;
    this.#isOver = () => this.#stopped || isOver();
    this.#limit = options.stalledAfter;
    this.#watch = new IdleWatch(options.quiet);
  }

  set onRealTimer(callback: (timer: RealTimer) => void) {
    this.#watch.resources.onRealTimer = callback;
  }

  start(): void {
    void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    this.#watch.stop();
  }

  async advance(ms: number): Promise<void> {
    requireFiniteDuration("advance", "ms", ms);
    this.#targets += 1;
    await new Promise<void>((resolve) => this.#scheduleTarget(ms, () => this.#reached.push(resolve)));
  }

  #scheduleTarget(ms: number, onReached: () => void): void {
    const step = Math.min(ms, MAX_DELAY);
    this.#clock.setTimeout(
      () => (ms > step ? this.#scheduleTarget(ms - step, onReached) : onReached()),
      step,
    );
  }

  async #run(): Promise<void> {
    for (;;) {
      const quiet = await this.#watch.idle(this.#limit, this.#isOver);
      if (this.#isOver()) return;
      if (!quiet) this.#onStalled();
      else if (this.#reached.length > 0) await this.#resolveReached();
      else if (this.#canJump()) this.#jump();
      else await this.#waitForTimer();
    }
  }

  /** Called when the process has been busy for too long, so that time could not advance. */
  #onStalled(): void {
    const { stalledAfter } = this.#options;
    const delaysTimers = this.#reached.length > 0 || this.#canJump();
    // If no timer is held up, only a body that has made no progress itself is stuck.
    if (!delaysTimers && !this.#watch.hasStuck(this.#limit)) return;
    if (this.#cleanupJumps > 0 && delaysTimers) {
      this.#cleanupJumps -= 1;
      this.#jump();
    } else {
      this.#onStuck(this.#stalledError());
      this.#cleanupJumps = CLEANUP_JUMPS;
    }
    this.#limit = Math.min(stalledAfter, LIMIT_AFTER_STALL);
  }

  #stalledError(): VirtualClockError {
    const counts = new Map<string, number>();
    for (const type of this.#watch.pending) counts.set(type, (counts.get(type) ?? 0) + 1);
    const work = [...counts].map(
      ([type, count]) => `${count} × ${describeResource(type, undefined).name} (${type})`,
    );
    const busy =
      work.length > 0 ? work.join(", ") : "events of the resources listed here, one after the other";
    return new VirtualClockError({
      code: "BOUGH_STALLED",
      why: `time can't go on: the process has been busy for ${this.#options.stalledAfter} ms with ${busy}`,
      hint: "If the work takes longer, pass { stalledAfter: ms }; if it never ends (a named pipe, a loop that polls a file), end it, or make it wait with a timer.",
      tree: snapshot(),
      resources: this.#watch.resources.pending(),
    });
  }

  #canJump(): boolean {
    return this.#clock.countTimers() > 0 && (this.#options.autojump || this.#targets > 0);
  }

  #jump(): void {
    if (++this.#jumps > this.#options.jumps) {
      this.#jumps = 0;
      const why = `time has jumped ${this.#options.jumps} times, and there is still no end (an interval that is never stopped?)`;
      return this.#onStuck(new VirtualClockError({ code: "BOUGH_ENDLESS", why, tree: snapshot() }));
    }
    this.#callTimers(() => this.#clock.next());
  }

  async #resolveReached(): Promise<void> {
    this.#callTimers(() => this.#clock.tick(0)); // timers for this very instant that were set after `advance` was called
    if (!(await this.#watch.idle(this.#limit, this.#isOver)) && !this.#isOver())
      this.#onStuck(this.#stalledError());
    const reached = this.#reached.splice(0);
    this.#targets -= reached.length;
    for (const resolve of reached) resolve();
  }

  /** A timer's callback that throws is an uncaught exception, as always. */
  #callTimers(move: () => void): void {
    try {
      move();
    } catch (error) {
      realQueueMicrotask(() => {
        throw error;
      });
    }
  }

  /** Called without a timer to jump to. Waits for one, or until nothing can happen any more. */
  async #waitForTimer(): Promise<void> {
    const { blockedAfter, autojump } = this.#options;
    for (let since = now(); now() - since < blockedAfter;) {
      await (now() - since < CHECK_INTERVAL ? turn() : delay(CHECK_INTERVAL));
      if (this.#isOver() || this.#canJump()) return;
      if (this.#watch.hasStuck(this.#limit)) return this.#onStalled();
      // Without our timers in place, another clock controls the time.
      if (this.#watch.isBusy() || installedClock() !== this.#clock) since = now();
    }
    const timers = this.#clock.countTimers();
    const held = timers === 1 ? "a timer waits for advance()" : `${timers} timers wait for advance()`;
    const nothing = autojump || timers === 0 ? "no timer is pending" : held;
    const resources = this.#watch.resources.pending();
    this.#onStuck(
      new VirtualClockError({
        code: "BOUGH_BLOCKED",
        why: `everything is blocked: ${nothing}, and nothing has happened for ${blockedAfter} ms`,
        ...(resources.length === 0
          ? {}
          : {
              hint: "These resources do not follow the clock. If the test waits for one of them, pass { blockedAfter: ms }, in real ms, longer than the resource takes; or close it, or replace it with a fake.",
            }),
        tree: snapshot(),
        resources,
      }),
    );
  }
}
