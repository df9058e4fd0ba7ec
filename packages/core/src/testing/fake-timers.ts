import { AsyncResource } from "node:async_hooks";
import type * as FakeTimers from "@sinonjs/fake-timers";
import { BoughError } from "../errors/bough-error.js";

/** What we use of a clock of `@sinonjs/fake-timers`, be it ours or that of a test runner. */
export interface FakeClock {
  readonly now: number;
  setTimeout(callback: () => void, ms: number): unknown;
  countTimers(): number;
  /** Goes to the next timer and calls it. */
  next(): number;
  /** Goes on by `ms` and calls what is due. */
  tick(ms: number): number;
}

/** A fake clock that is in place of the globals. */
export interface Installed {
  readonly clock: FakeClock;
  readonly remove: () => void;
}

interface OwnClock extends FakeClock {
  setInterval(callback: () => void, ms: number): unknown;
  uninstall(): void;
}

const faked = ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] as const;

/** The fake clock whose timers the globals are now, whoever has put them there. */
export function installedClock(): FakeClock | undefined {
  return (globalThis.setTimeout as { clock?: FakeClock }).clock;
}

/**
 * Puts a fake clock in place of the global timers, or takes the one that is there: the timers of `vi.useFakeTimers()`
 * stay vitest's, and are there afterwards.
 */
export async function installFakeTimers(now: number): Promise<Installed> {
  const present = installedClock();
  if (present !== undefined) return { clock: present, remove: () => undefined };
  if ((Date as { isFake?: boolean }).isFake === true) throw dateIsFake();
  const { install } = await load();
  const clock = install({ now, toFake: [...faked] }) as OwnClock;
  keepContext(clock, "setTimeout");
  keepContext(clock, "setInterval");
  const restorePerformance = fakePerformance(clock);
  return {
    clock,
    remove: () => {
      restorePerformance();
      clock.uninstall();
    },
  };
}

function dateIsFake(): BoughError {
  return new BoughError(
    "BOUGH_CLOCK_INSTALLED",
    "withVirtualClock: Date is a fake already, but setTimeout is not (vi.setSystemTime without vi.useFakeTimers?)",
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

/** Lets the callbacks of timers run in the async context of who set them, as those of real ones do. */
function keepContext(clock: OwnClock, method: "setTimeout" | "setInterval"): void {
  const original: (...args: never[]) => unknown = clock[method];
  const bound = (callback: unknown, ...rest: unknown[]): unknown =>
    Reflect.apply(original, clock, [bind(callback), ...rest]);
  Object.assign(clock, { [method]: Object.assign(bound, original) });
}

function bind(callback: unknown): unknown {
  return typeof callback === "function" ? AsyncResource.bind(callback as () => void) : callback;
}

/** Of `performance` only `now`: the library would replace all of it, by methods that do nothing. */
function fakePerformance(clock: OwnClock): () => void {
  const { performance } = globalThis;
  const offset = performance.now() - clock.now;
  const value = (): number => clock.now + offset;
  Object.defineProperty(performance, "now", { value, configurable: true, writable: true });
  return () => void Reflect.deleteProperty(performance, "now");
}
