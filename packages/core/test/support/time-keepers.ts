import { mock } from "node:test";
import { ModernFakeTimers } from "@jest/fake-timers";
import FakeTimers from "@sinonjs/fake-timers";
import { vi } from "vitest";
import { realTimers, turn } from "../../src/kernel/platform.js";

/** Something that is in charge of the time of a test: fake timers, or a calendar that is wrong. */
export interface TimeKeeper {
  /** Takes over. Returns a function that restores the globals. */
  install(): () => void;
  /** Lets `ms` milliseconds pass, and waits until everything that follows from it has happened. */
  advance(ms: number): Promise<void>;
  /** Sets the calendar to another time, if the timers do not depend on it. */
  setCalendar(): void;
  /** Its time passes only with `advance`. */
  readonly isFake: boolean;
}

const HOUR = 3_600_000;

/** Long enough for whatever follows from a timer. */
async function settle(): Promise<void> {
  for (let count = 0; count < 5; count++) await turn();
}

function faked(
  install: () => { tick(ms: number): void; setCalendar(): void; uninstall(): void },
): TimeKeeper {
  let timers: ReturnType<typeof install>;
  return {
    isFake: true,
    install() {
      timers = install();
      return () => timers.uninstall();
    },
    setCalendar: () => timers.setCalendar(),
    async advance(ms) {
      await settle();
      for (let left = ms; left > 0; left -= STEP) {
        timers.tick(Math.min(STEP, left));
        await settle();
      }
    },
  };
}

/** Within this time, timers that were set by the effects of another timer fire, too. */
const STEP = 5;

/** Real timers, and a calendar that `read` makes of the real one. */
function miscalendar(read: (real: number, calls: number) => number): TimeKeeper {
  let calls = 0;
  return {
    isFake: false,
    install() {
      calls = 0;
      const { now } = Date;
      Date.now = () => read(now(), calls);
      return () => void (Date.now = now);
    },
    setCalendar: () => void (calls += 1),
    async advance(ms) {
      await new Promise((resolve) => realTimers.setTimeout(resolve, ms + 5));
      await settle();
    },
  };
}

export const timeKeepers: Readonly<Record<string, TimeKeeper>> = {
  vitest: faked(() => {
    vi.useFakeTimers();
    return {
      tick: (ms) => vi.advanceTimersByTime(ms),
      setCalendar: () => vi.setSystemTime(Date.now() + HOUR),
      uninstall: () => vi.useRealTimers(),
    };
  }),
  sinon: faked(() => {
    const clock = FakeTimers.install();
    return {
      tick: (ms) => clock.tick(ms),
      setCalendar: () => clock.setSystemTime(Date.now() + HOUR),
      uninstall: () => {
        clock.runMicrotasks(); // what Node itself has put off meanwhile, in sending to the test runner
        clock.uninstall();
      },
    };
  }),
  Jest: faked(() => {
    const config = { fakeTimers: {}, rootDir: "/" };
    const jest = new ModernFakeTimers({ config, global: globalThis } as never);
    jest.useFakeTimers();
    return {
      tick: (ms) => jest.advanceTimersByTime(ms),
      setCalendar: () => jest.setSystemTime(Date.now() - HOUR),
      uninstall: () => {
        jest.runAllTicks();
        jest.useRealTimers();
      },
    };
  }),
  "node:test": faked(() => {
    mock.timers.enable();
    return {
      tick: (ms) => mock.timers.tick(ms),
      setCalendar: () => undefined, // sets the timers, too
      uninstall: () => mock.timers.reset(),
    };
  }),
  "node:test, timers only": faked(() => {
    mock.timers.enable({ apis: ["setTimeout"] });
    return {
      tick: (ms) => mock.timers.tick(ms),
      setCalendar: () => undefined,
      uninstall: () => mock.timers.reset(),
    };
  }),
  "a frozen Date": miscalendar(() => 1_800_000_000_000),
  "a Date that is set forward by 1 h": miscalendar((real, calls) => real + calls * HOUR),
  "a Date that is set back by 1 h": miscalendar((real, calls) => real - calls * HOUR),
};
