import type * as FakeTimers from "@sinonjs/fake-timers";
import { BoughError } from "../../errors/bough-error.js";
import { fakePlatform } from "./platform-time.js";
import { VirtualTimers, type Scheduler } from "./virtual-timer.js";

/** The members that we use of a clock of `@sinonjs/fake-timers`, our own or a test runner's. */
export interface FakeClock {
  readonly now: number;
  setTimeout(callback: () => void, ms: number): unknown;
  countTimers(): number;
  /** Goes to the next timer and calls it. */
  next(): number;
  /** Advances by `ms` and calls the timers that are due. */
  tick(ms: number): number;
}

/** A fake clock that has replaced the globals. */
export interface Installed {
  readonly clock: FakeClock;
  readonly remove: () => void;
}

interface OwnClock extends FakeClock {
  readonly setTimeout: (callback: () => void, ms: number) => unknown;
  readonly setInterval: (callback: () => void, ms: number) => unknown;
  readonly clearTimeout: (timer: never) => void;
  readonly clearInterval: (timer: never) => void;
  uninstall(): void;
}

type SetTimer = (callback: () => void, delay?: number, ...given: unknown[]) => unknown;

const faked = ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] as const;

/** The fake clock whose timers the globals are now, whether we installed it or another library. */
export function installedClock(): FakeClock | undefined {
  return (globalThis.setTimeout as { clock?: FakeClock }).clock;
}

/**
 * Puts a fake clock in place of the global timers, or uses the fake clock that is installed. The timers of
 * `vi.useFakeTimers()` stay vitest's, and are there afterwards.
 *
 * @param isOutside - Whether the code that sets a timer does not run under this clock.
 */
export async function installFakeTimers(now: number, isOutside: () => boolean): Promise<Installed> {
  const present = installedClock();
  if (present !== undefined) return { clock: present, remove: fakePlatform(false) };
  if ((Date as { isFake?: boolean }).isFake === true) throw dateIsFake();
  const { install } = await load();
  const realDate = Date;
  const clock = install({ now, toFake: [...faked] }) as unknown as OwnClock;
  const timers = useVirtualTimers(clock, isOutside);
  const restorePerformance = fakePerformance(clock);
  const restorePlatform = fakePlatform(true);
  return {
    clock,
    remove: () => {
      restorePlatform();
      restorePerformance();
      clock.uninstall();
      timers.remove();
      // For code that has kept this Date: a library that was loaded under the clock, for example.
      Object.defineProperty(clock, "now", { get: () => realDate.now() });
    },
  };
}

function dateIsFake(): BoughError {
  return new BoughError(
    "BOUGH_CLOCK_INSTALLED",
    "withVirtualClock: Date is already a fake, but setTimeout is not (vi.setSystemTime without vi.useFakeTimers?)",
  );
}

async function load(): Promise<typeof FakeTimers> {
  try {
    return await import("@sinonjs/fake-timers");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new BoughError(
      "BOUGH_NO_FAKE_TIMERS",
      "withVirtualClock: needs the package @sinonjs/fake-timers (npm install --save-dev @sinonjs/fake-timers)",
    );
  }
}

/** Lets the clock's functions, which the globals call, make timers that outlive it. */
function useVirtualTimers(clock: OwnClock, isOutside: () => boolean): VirtualTimers {
  const { setTimeout, setInterval, clearTimeout, clearInterval } = clock;
  const scheduler: Scheduler = {
    get now() {
      return clock.now;
    },
    setTimeout: (callback, ms) => Reflect.apply(setTimeout, clock, [callback, ms]),
    setInterval: (callback, ms) => Reflect.apply(setInterval, clock, [callback, ms]),
    clearTimeout: (timer) => Reflect.apply(clearTimeout, clock, [timer]),
  };
  const timers = new VirtualTimers(scheduler, isOutside);
  const setter = (original: SetTimer, repeats: boolean): SetTimer => {
    const set: SetTimer = (callback, delay, ...given) => {
      // The library refuses a callback that is not a function with its own error.
      if (typeof callback !== "function") return Reflect.apply(original, clock, [callback, delay]);
      return timers.create(callback, delay, given, repeats);
    };
    return Object.assign(set, original); // the library keeps notes on its functions
  };
  const clearer = (original: unknown): unknown =>
    Object.assign((timer: unknown) => timers.clear(timer), original);
  Object.assign(clock, {
    setTimeout: setter(setTimeout as SetTimer, false),
    setInterval: setter(setInterval as SetTimer, true),
    clearTimeout: clearer(clearTimeout),
    clearInterval: clearer(clearInterval),
  });
  return timers;
}

/** Of `performance` only `now`: the library would replace all of it, by methods that do nothing. */
function fakePerformance(clock: OwnClock): () => void {
  const { performance } = globalThis;
  const realNow = performance.now.bind(performance);
  const offset = realNow() - clock.now;
  let removed = false;
  const value = (): number => (removed ? realNow() : clock.now + offset);
  Object.defineProperty(performance, "now", { value, configurable: true, writable: true });
  return () => {
    removed = true;
    Reflect.deleteProperty(performance, "now");
  };
}
