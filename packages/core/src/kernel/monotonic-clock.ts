import { isObject } from "../errors/user-values.js";
import {
  MAX_CALENDAR_DRIFT,
  MAX_EARLY,
  MIN_EQUAL_READINGS,
  MIN_SHARING,
  SCOPES_PER_READING,
  MAX_SMALL_INTEGER,
} from "./constants.js";
import { endNameCache, startNameCache } from "./name.js";
import { calendarNow, currentSetTimeout, isDateReplaced, isFake, realNow, realTimers } from "./platform.js";

/**
 * A monotonic clock that agrees with the timers: under fake timers it is the fake clock.
 *
 * | `setTimeout` is                           | the clock is                                                        | exact |
 * | ----------------------------------------- | ------------------------------------------------------------------- | ----- |
 * | the platform's                            | the platform's monotonic clock                                      | yes   |
 * | a wrapper around the platform's           | the same                                                            | yes   |
 * | a fake of vitest, sinon or Jest           | the fake's own, without what `setSystemTime` adds to it             | yes   |
 * | another fake, such as `node:test`         | a fake `Date`, or the platform's; corrected when a timer fires      | no    |
 *
 * A timer that fires is right, even if a clock disagrees. In a busy loop, where the timer can't fire, only an exact
 * clock shows that the time of a scope is up. It must be the clock of the timer, which the deadline remembers, because
 * fake timers come and go while a scope is open.
 */
export interface Clock {
  /** In ms since an arbitrary moment. Never decreases. */
  now(): number;
  readonly isExact: boolean;
}

const realClock: Clock = { now: realNow, isExact: true };

class FakeClock implements Clock {
  readonly isExact: boolean;
  readonly #source: () => number;
  #offset = 0;
  #last = -Infinity;

  constructor(source: () => number, isExact: boolean) {
    this.#source = source;
    this.isExact = isExact;
  }

  now(): number {
    const now = this.#source() + this.#offset;
    // `Date` was set back, or `jest.clearAllTimers()` has restarted the clock at 0.
    if (now < this.#last) this.#offset += this.#last - now;
    this.#last = Math.max(now, this.#last);
    return this.#last;
  }

  /**
   * Called when a timer that was due at `instant` fires. Tolerates a timer that is a little early, as real ones are.
   */
  reach(instant: number): void {
    const missing = instant - this.now();
    if (missing > MAX_EARLY) this.#offset += missing;
  }
}

/** The `setTimeout` that was in place when `current` was chosen. */
let knownSetTimeout: unknown;
let current: Clock = realClock;
/** Lets {@link elapsed} continue from its value when `current` changes. */
let offset: number = -realNow();

/** The clock of the timers that are set now. */
export function currentClock(): Clock {
  if (currentSetTimeout() !== knownSetTimeout) changeClock();
  return current;
}

function changeClock(): void {
  const found: unknown = currentSetTimeout();
  knownSetTimeout = found;
  const sinon = sinonClockOf(found);
  if (sinon !== undefined) return switchToSinon(sinon);
  // Where timers are objects, a wrapper is recognised by its result: see `detectRealTimer`.
  const isReal = found === realTimers.setTimeout ? !isFake(found) : !mayBeFake(found);
  switchTo(isReal ? realClock : new FakeClock(isDateReplaced() ? calendarNow : realNow, false));
}

interface SinonClock {
  readonly performance: { now(): number };
}

function sinonClockOf(found: unknown): SinonClock | undefined {
  const clock = (found as { clock?: Partial<SinonClock> } | undefined)?.clock;
  return typeof clock?.performance?.now === "function" ? (clock as SinonClock) : undefined;
}

const sinonClocks = new WeakMap<SinonClock, Clock>();

function switchToSinon(sinon: SinonClock): void {
  const before = sinonClocks.get(sinon);
  if (before !== undefined) return switchTo(before);
  const clock = new FakeClock(() => sinon.performance.now(), true);
  sinonClocks.set(sinon, clock);
  switchTo(clock, 0); // the fake clock began at 0, perhaps a while ago
}

function switchTo(clock: Clock, start: number = clock.now()): void {
  // A whole number, so that delays for fake clocks stay whole numbers.
  offset = Math.ceil(current.now() + offset - start);
  current = clock;
  expireCoarseTime();
}

function mayBeFake(found: unknown): boolean {
  if (isFake(found)) return true;
  if (isFake(realTimers.setTimeout)) return false; // the package was loaded under fakes, which have been removed since
  return typeof realTimer() === "object" || isDateReplaced();
}

let sample: unknown;

/** A timer of the platform: an object in Node and Bun, a number in browsers. */
function realTimer(): unknown {
  if (sample === undefined) {
    const set = realTimers.setTimeout;
    const clear = realTimers.clearTimeout;
    const timer = set(() => {}, 0);
    clear(timer);
    sample = timer;
  }
  return sample;
}

export function isRealTimer(timer: unknown): boolean {
  const real = realTimer();
  return isObject(real) && timer instanceof real.constructor;
}

/**
 * Prepares for a timer whose clock can't be read.
 *
 * @returns `undefined` if the clock is exact.
 */
export function inexactClock(): { reach(instant: number): void; now(): number } | undefined {
  const clock = currentClock();
  return clock.isExact ? undefined : (clock as FakeClock);
}

/** Called with the result of a replaced `setTimeout`. If it is a real timer, the function only wraps the platform's. */
export function detectRealTimer(timer: unknown): void {
  if (isRealTimer(timer)) switchTo(realClock);
}

/**
 * Milliseconds since the package was loaded. Continues when fake timers are installed or removed. For durations and
 * ages.
 */
export function elapsed(): number {
  return currentClock().now() + offset;
}

/** The instant in epoch ms that is `left` ms away: `expected`, unless the calendar has been set to another time since. */
export function adjustedInstant(left: number, expected: number): number {
  const instant = calendarNow() + left;
  return Math.abs(instant - expected) > MAX_CALENDAR_DRIFT ? Math.round(instant) : expected;
}

/**
 * The `expected` instant of a later {@link adjustedInstant}. `undefined` if {@link instantIn} can compute it when it is read:
 * the real clock and the real calendar advance together. A test may advance only one of them.
 */
export function expectedInstant(clock: Clock, left: number): number | undefined {
  return clock === realClock && !isDateReplaced() ? undefined : calendarNow() + left;
}

/** The instant in epoch ms that is `left` ms away. Rounded up: the calendar has whole ms, and the current one has begun. */
export function instantIn(left: number): number {
  return Math.ceil(calendarNow() + left);
}

// ---- the ages in reports

const microtask = Promise.resolve();

let lastReading = -1;
let equalReadings = 0;
/** How many more scopes use the last reading. */
let scopesLeft = 0;
let isEndScheduled = false;
let scheduleEnd = (): void => void microtask.then(endBurst);

/**
 * {@link elapsed} in whole ms, with a cache. Reading the clock takes a tenth of the time that starting a task does. So
 * if many tasks are started in a synchronous burst, one in {@link SCOPES_PER_READING} reads it. The cache ends with the
 * burst. Used for ages in reports, never for a deadline.
 */
export function coarseElapsed(): number {
  if (currentSetTimeout() !== knownSetTimeout) changeClock();
  if (scopesLeft === 0) return readCoarseElapsed();
  scopesLeft -= 1;
  return lastReading;
}

function readCoarseElapsed(): number {
  const now = roundDown(current.now() + offset);
  equalReadings = now === lastReading && current === realClock ? equalReadings + 1 : 0; // a test's clock is never cached
  lastReading = now;
  if (equalReadings >= MIN_EQUAL_READINGS) startReuse();
  return now;
}

function startReuse(): void {
  scopesLeft = SCOPES_PER_READING - 1;
  if (isEndScheduled) return;
  isEndScheduled = true;
  startNameCache();
  scheduleEnd();
}

/** Drops the cached time: code before the next scope may have taken long. */
export function expireCoarseTime(): void {
  equalReadings = scopesLeft = 0;
}

/** The next scopes use the last reading, until {@link expireCoarseTime}. For those that a caller starts before it returns. */
export function reuseReading(): void {
  if (current === realClock) scopesLeft = SCOPES_PER_READING - 1;
}

/** The next scopes use the last reading, until the end of the burst, and the last name. */
export function reuseUntilBurstEnd(): void {
  if (current === realClock) startReuse();
}

/** Replaces the end of the burst as the moment at which the cached time is dropped. */
export function setBurstEnd(after: (callback: () => void) => void): void {
  scheduleEnd = () => after(endBurst);
}

/** A small integer for the first days, not a boxed double. */
function roundDown(ms: number): number {
  return ms < MAX_SMALL_INTEGER ? ms | 0 : Math.floor(ms);
}

function endBurst(): void {
  const sharing = SCOPES_PER_READING - 1 - scopesLeft;
  expireCoarseTime();
  // The next burst will be like this one. If it begins in the same millisecond, its first reading is enough.
  if (sharing >= MIN_SHARING) equalReadings = MIN_EQUAL_READINGS - 1;
  isEndScheduled = false;
  endNameCache();
}

/** The age in ms of something that began at `coarseElapsed`. Never negative. */
export function ageOf(start: number): number {
  return Math.max(0, roundDown(elapsed()) - start);
}
