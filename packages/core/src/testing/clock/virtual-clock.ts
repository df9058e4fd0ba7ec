import { BoughError } from "../../errors/bough-error.js";
import type { ScopeNode } from "../../kernel/node.js";
import type { Scope } from "../../kernel/scope.js";
import { fail } from "../../kernel/lifecycle.js";
import { optionNames } from "../../errors/option-names.js";
import {
  wrongType,
  outOfRange,
  requireType,
  requireFunction,
  checkDuration,
  requireFiniteDuration,
  checkOptionsObject,
} from "../../errors/validate.js";
import { withScope } from "../../task/with-scope.js";
import { snapshot } from "../../inspect/index.js";
import { recordScopesOfClock } from "../../inspect/virtual-clock-scopes.js";
import { warn } from "../../kernel/warn.js";
import { realTimer } from "./real-time.js";
import { ClockDriver, type DriverOptions } from "./clock-driver.js";
import { clockContext, ClockRun } from "./clock-run.js";
import { installFakeTimers, type Installed } from "./fake-timers.js";
import type { RealTimer } from "./real-resources.js";
import { VirtualClockError } from "./virtual-clock-error.js";

/** The options of {@link withVirtualClock}. */
export interface VirtualClockOptions {
  /**
   * Whether the clock jumps to the next timer as soon as everything is waiting. Otherwise only `clock.advance()` moves
   * it. Default `true`.
   */
  readonly autojump?: boolean | undefined;
  /**
   * The instant at which it begins, in epoch ms. Default: now. Under the fake timers of another library it has no
   * effect.
   */
  readonly start?: number | Date | undefined;
  /**
   * Real milliseconds in which no real I/O may happen before time jumps. Default 0: some turns of the event loop are
   * enough for work that stays in this process. For a server in another process, or for zlib, use 10, for example.
   */
  readonly quiet?: number | undefined;
  /** Real milliseconds without any event until everything is considered blocked. Default 500; `Infinity`: never. */
  readonly blockedAfter?: number | undefined;
  /**
   * Real milliseconds for which the process may be busy, with files or sockets, without time going on, until it is called
   * stalled. Default 3,000; `Infinity` never.
   */
  readonly stalledAfter?: number | undefined;
  /** The maximum number of jumps, to detect endless timers. Default 100,000. */
  readonly jumps?: number | undefined;
  /** Cancels the scope of the body. Pass vitest's `({ signal }) => …`, so that a test that times out ends. Default: none. */
  readonly signal?: AbortSignal | undefined;
}

const virtualClockOptionNames = optionNames<VirtualClockOptions>({
  autojump: true,
  start: true,
  quiet: true,
  blockedAfter: true,
  stalledAfter: true,
  jumps: true,
  signal: true,
});

/** The clock that the body of {@link withVirtualClock} gets. */
export interface VirtualClock {
  /** Epoch ms: what `Date.now()` returns. */
  readonly now: number;
  /** How many timers are pending. */
  readonly timers: number;
  /**
   * Lets `ms` milliseconds pass: calls the timers that are due, in order, and lets the reactions to each run before the
   * next.
   *
   * @throws {TypeError | RangeError} If `ms` is not a finite number, or is negative (as a rejection).
   */
  advance(ms: number): Promise<void>;
}

/**
 * How long the cleanups of a body may take after the end of its test, before the real timers are restored, in real ms.
 */
const CLEANUP_TIME = 100;

let installed: ClockRun | undefined;

/**
 * Runs `body` under a virtual clock: whenever everything is waiting, and no microtask and no real I/O is pending, the
 * clock jumps to the next timer. An hour of retries takes milliseconds, and always happens in the same order: Trio's
 * `MockClock` with `autojump_threshold`.
 *
 * Meanwhile the global `setTimeout`, `setInterval` and their `clear…`, `Date` and `performance.now` are those of
 * `@sinonjs/fake-timers`, an optional peer dependency. `AbortSignal.timeout`, `node:timers` and `node:timers/promises`
 * follow them. The real ones are back when the promise settles. So all timers of bough follow the clock, Effection's `sleep`,
 * and your own code. Between jumps time stands still. Sockets, files, `setImmediate`, and timers that were set before stay
 * real. A process warning names a timer that can't follow the clock.
 *
 * Under `vi.useFakeTimers()` it drives vitest's clock, and leaves it in place.
 *
 * **Cancellation:** `body` gets a root scope, and everything in it has settled when the promise does. Then pending
 * timers never fire, except timers after `unref()`, which continue in real time. If the test ends before, by its
 * `signal` or a time-out of vitest's, cleanups get 100 real ms.
 *
 * **Failure:** when nothing can happen any more, because no timer is pending, the scope fails with a `VirtualClockError`. It names
 * the waiting tasks and the resources that are pending in real time. The scope is cancelled, so that cleanups run, and the
 * promise rejects with that error, even if something ignores the cancellation. The same happens when the process stays busy.
 *
 * @param body - Gets the scope, and the clock.
 * @param options - When the process counts as idle, and when as blocked; times in ms.
 * @returns What `body` returned.
 * @throws {VirtualClockError} (as a rejection) If everything is blocked, stays busy, or goes on for ever.
 * @throws {BoughError} (as a rejection) If the library is not there, or a virtual clock is installed already. A process has
 *   one `setTimeout`: don't nest virtual clocks, nor use them in tests that run at the same time.
 * @throws {TypeError | RangeError} (as a rejection) If an argument is bad. Nothing was started.
 * @example
 * ```ts
 * const before = Date.now();
 * const late = await withVirtualClock(async (scope) => {
 *   await sleep(scope, 3_600_000);
 *   return Date.now();
 * });
 * console.log(late - before >= 3_600_000, Date.now() - before < 10_000); // true true
 * ```
 */
export async function withVirtualClock<T>(
  body: (scope: Scope, clock: VirtualClock) => T | PromiseLike<T>,
  options: VirtualClockOptions = {},
): Promise<T> {
  requireFunction("withVirtualClock", "body", body);
  const { start, settings } = checkClockOptions(options);
  for (let other = installed; other !== undefined; other = installed) {
    refuseUnlessOver(other);
    await other.removed;
  }
  const run = new ClockRun(options.signal);
  installed = run;
  let timers: Installed | undefined;
  const markLeft = recordScopesOfClock();
  try {
    timers = await installFakeTimers(start, () => clockContext.getStore() !== run);
    return await runUnder(run, timers, settings, options.signal, body);
  } finally {
    timers?.remove();
    markLeft();
    installed = undefined;
    run.end();
  }
}

/** Throws if another clock is installed, unless its test has ended. */
function refuseUnlessOver(other: ClockRun): void {
  const isInside = clockContext.getStore() === other;
  if (!isInside && other.isOver()) return;
  const why = isInside
    ? "this call is inside the body of another one. Use its clock, which this code follows anyway"
    : "by code that runs at the same time, and a process has only one setTimeout. Run such tests one after the other; if an earlier test ended by a time-out, give its signal to its withVirtualClock";
  throw new BoughError(
    "BOUGH_CLOCK_INSTALLED",
    `withVirtualClock: a virtual clock is installed already${isInside ? ": " : ", "}${why}`,
  );
}

async function runUnder<T>(
  run: ClockRun,
  { clock: fake }: Installed,
  settings: DriverOptions,
  signal: AbortSignal | undefined,
  body: (scope: Scope, clock: VirtualClock) => T | PromiseLike<T>,
): Promise<T> {
  let node: ScopeNode | undefined;
  let rejectNow!: (error: unknown) => void;
  const stuck = new Promise<never>((_, reject) => (rejectNow = reject));
  let stopCleanupTimer: (() => void) | undefined;
  let first: VirtualClockError | undefined;
  const onStuck = (error: VirtualClockError): void => {
    first ??= error; // it shows the tree as it was before the cancellation
    if (node === undefined || node.cancelled) rejectNow(first);
    else fail(node, error);
  };
  /** The body has little time left: the next test has begun. */
  const isOver = (): boolean => {
    if (stopCleanupTimer !== undefined || !run.isOver()) return false;
    stopCleanupTimer = realTimer(CLEANUP_TIME, () => rejectNow(first ?? node?.reason ?? signal?.reason));
    // A signal has cancelled the scope by itself.
    if (signal?.aborted !== true) onStuck(abandoned());
    return false;
  };
  const driver = new ClockDriver(fake, settings, onStuck, isOver);
  driver.onRealTimer = warnOnce(run);
  const clock: VirtualClock = {
    get now() {
      return fake.now;
    },
    get timers() {
      return fake.countTimers();
    },
    advance: (ms) => driver.advance(ms),
  };
  const name = body.name === "" ? "virtual clock" : body.name;
  const ended = clockContext.run(run, () =>
    withScope({ name, signal }, (scope) => {
      node = scope as ScopeNode;
      return body(scope, clock);
    }),
  );
  driver.start();
  signal?.addEventListener("abort", isOver, { once: true });
  try {
    return await Promise.race([ended, stuck]);
  } finally {
    driver.stop();
    stopCleanupTimer?.();
    signal?.removeEventListener("abort", isOver);
  }
}

function abandoned(): VirtualClockError {
  return new VirtualClockError({
    code: "BOUGH_CLOCK_ABANDONED",
    why: "the test that this virtual clock was for has ended before it, for example by a timeout. The real timers are restored",
    tree: snapshot(),
  });
}

/** Says once of each kind of timer that it does not follow the clock. */
function warnOnce(run: ClockRun): (timer: RealTimer) => void {
  const known = new Set<string>();
  return ({ what, site }) => {
    if (known.has(what) || clockContext.getStore() !== run) return;
    known.add(what);
    const where = site === undefined ? "" : ` (${site})`;
    warn(
      "BoughVirtualClockWarning",
      "BOUGH_REAL_TIME",
      `withVirtualClock: ${what} is in real time and does not follow the virtual clock${where}`,
    );
  };
}

function checkClockOptions(options: VirtualClockOptions): { start: number; settings: DriverOptions } {
  checkOptionsObject("withVirtualClock", options, virtualClockOptionNames);
  const { autojump = true, start = Date.now(), quiet = 0, blockedAfter = 500 } = options;
  const { stalledAfter = 3_000, jumps = 100_000 } = options;
  requireType("withVirtualClock", "autojump", "boolean", autojump);
  if (typeof start !== "number" && !(start instanceof Date)) {
    throw wrongType("withVirtualClock", "start must be a Date or a number of epoch ms", start);
  }
  if (!Number.isFinite(Number(start))) {
    throw outOfRange("withVirtualClock", "start must be a valid instant", Number(start));
  }
  requireFiniteDuration("withVirtualClock", "quiet", quiet);
  checkDuration("withVirtualClock", "blockedAfter", blockedAfter);
  checkDuration("withVirtualClock", "stalledAfter", stalledAfter);
  requireType("withVirtualClock", "jumps", "number", jumps);
  if (!(jumps >= 1)) throw outOfRange("withVirtualClock", "jumps must be a number from 1", jumps);
  return {
    start: Math.trunc(Number(start)),
    settings: { autojump, quiet, blockedAfter, stalledAfter, jumps },
  };
}
