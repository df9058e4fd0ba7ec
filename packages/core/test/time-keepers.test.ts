// oxlint-disable vitest/no-conditional-expect -- when real time passes, a test can only wait
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { outgoingHeaders } from "../src/http/index.js";
import {
  checkpoint,
  createChannel,
  createScope,
  DeadlineExceededError,
  retry,
  select,
  shield,
  sleep,
  spawn,
  StuckTasksError,
  supervise,
  ticker,
  withScope,
  type Scope,
} from "../src/index.js";
import { snapshot } from "../src/inspect/index.js";
import { flush, rejection, thrown } from "./support/deferred.js";
import { timeKeepers, type TimeKeeper } from "./support/time-keepers.js";

const HOUR = 3_600_000;

const timers = (): number =>
  process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length;

const never = (): Promise<never> => new Promise(() => {});

/**
 * Expects `promise` to settle when `ms` milliseconds have passed, however the calendar is set meanwhile.
 *
 * @returns What it rejects with, or its value.
 */
async function lasts(time: TimeKeeper, ms: number, promise: PromiseLike<unknown>): Promise<unknown> {
  let settled = false;
  const outcome = Promise.resolve(promise)
    .catch((error: unknown) => error)
    .finally(() => (settled = true));
  await time.advance(ms / 2);
  if (time.isFake) expect(settled).toBe(false);
  time.setCalendar();
  await time.advance(ms / 2);
  if (time.isFake) expect(settled).toBe(true);
  return outcome;
}

describe.each(Object.entries(timeKeepers))("under %s", (_, time) => {
  const start = (): void => onTestFinished(time.install());

  it("rule 17: a timeout lasts as long as it says", async () => {
    start();
    const work = (scope: Scope): Promise<void> => sleep(scope, HOUR);
    expect(await lasts(time, 40, withScope({ timeout: 40 }, work))).toBeInstanceOf(DeadlineExceededError);
    const scope = createScope({ supervise: true });
    expect(await lasts(time, 40, spawn(scope, work, { timeout: 40 }))).toBeInstanceOf(DeadlineExceededError);
    const shielded = shield(scope, { timeout: 40 }, work);
    expect(await lasts(time, 40, shielded)).toBeInstanceOf(DeadlineExceededError);
    await scope.close();
  });

  it("rule 17: a deadline that is a date comes after the time that was left when it was given", async () => {
    start();
    const work = (scope: Scope): Promise<void> => sleep(scope, HOUR);
    const dated = withScope({ deadline: new Date(Date.now() + 40) }, work);
    expect(await lasts(time, 40, dated)).toBeInstanceOf(DeadlineExceededError);
    const scope = createScope({ supervise: true });
    const task = spawn(scope, work, { deadline: Date.now() + 40 });
    expect(await lasts(time, 40, task)).toBeInstanceOf(DeadlineExceededError);
    await scope.close();
  });

  it("rule 17: setting the system time lets no time pass", async () => {
    start();
    await withScope({ timeout: HOUR / 2 }, async (scope) => {
      time.setCalendar();
      scope.throwIfCancelled();
      await checkpoint(scope);
      await withScope(scope, { timeout: HOUR }, (inner) => inner.throwIfCancelled());
      expect(Number(outgoingHeaders(scope)["x-request-timeout-ms"])).toBeGreaterThan(HOUR / 4);
      expect(Number(outgoingHeaders(scope)["x-request-timeout-ms"])).toBeLessThanOrEqual(HOUR / 2);
      expect(Math.abs((scope.deadline as number) - Date.now() - HOUR / 2)).toBeLessThan(HOUR / 4);
      expect(snapshot(scope).age).toBeLessThan(HOUR / 4);
      expect(snapshot(scope).age).toBeGreaterThanOrEqual(0);
    });
  });

  it("rule 17: the grace period of a stuck task lasts as long as it says, for close() and for onError", async () => {
    start();
    const stuck = createScope({ grace: 40 });
    spawn(stuck, never);
    expect(await lasts(time, 40, stuck.close())).toBeInstanceOf(StuckTasksError);
    const onError = vi.fn<(error: unknown) => void>();
    const reported = new Promise<void>((resolve) => onError.mockImplementation(() => resolve()));
    const watched = createScope({ grace: 40, onError });
    spawn(watched, never);
    watched.cancel();
    await lasts(time, 40, reported);
    expect(onError.mock.calls[0]?.[0]).toBeInstanceOf(StuckTasksError);
  });

  it("rule 17: sleep() lasts as long as it says, and leaves no timer when it is cancelled", async () => {
    start();
    const scope = createScope();
    expect(await lasts(time, 40, sleep(scope, 40))).toBeUndefined();
    const asleep = sleep(scope, HOUR);
    scope.cancel();
    expect(await rejection(asleep)).toBe(scope.reason);
  });

  it("rule 17: a ticker keeps to its schedule, and its values are instants of the system time", async () => {
    start();
    const scope = createScope();
    const ticks = ticker(scope, 20);
    for (let tick = 0; tick < 4; tick++) {
      const wrong = ticks.next().then(({ value }) => Math.abs(value - Date.now()));
      if (time.isFake) expect(await lasts(time, 20, wrong)).toBeLessThan(HOUR / 2);
      time.setCalendar();
      expect(await wrong).toBeLessThan(HOUR / 2);
    }
    await scope.close();
  });

  it("rule 17: retry() waits as long as it says", async () => {
    start();
    let attempts = 0;
    const run = withScope((scope) =>
      retry(
        scope,
        async () => {
          attempts += 1;
          if (attempts < 3) throw new Error("not yet");
          return "done";
        },
        { minDelay: 20, factor: 1, jitter: false },
      ),
    );
    expect(await lasts(time, 40, run)).toBe("done");
    expect(attempts).toBe(3);
  });

  it("rule 17: attemptTimeout lasts as long as it says", async () => {
    start();
    const run = withScope((scope) =>
      retry(scope, (own) => sleep(own, HOUR), { attempts: 1, attemptTimeout: 40 }),
    );
    expect(await lasts(time, 40, run)).toBeInstanceOf(DeadlineExceededError);
  });

  it("rule 17: supervise() counts a restart within its window, and not after it", async () => {
    start();
    const scope = createScope({ supervise: true });
    let runs = 0;
    // Each run takes longer than half a window, and so the one before the last no longer counts.
    const task = supervise(
      scope,
      async (own) => {
        runs += 1;
        await sleep(own, 60);
        if (runs < 6) throw new Error("failed");
        return "done";
      },
      { maxRestarts: 2, window: 100, minDelay: 0 },
    );
    let settled = false;
    void task.then(() => (settled = true));
    while (!settled && runs < 7) {
      time.setCalendar();
      await time.advance(20);
    }
    expect(await task).toBe("done");
    await scope.close();
  });

  it("rule 17: supervise() counts a restart for its whole window, although the system time was set past it", async () => {
    start();
    const failure = new Error("failed");
    const scope = createScope({ supervise: true });
    const task = supervise(
      scope,
      async () => {
        time.setCalendar();
        throw failure;
      },
      { maxRestarts: 2, window: HOUR / 2, minDelay: 10 },
    );
    const failed = rejection(task);
    await time.advance(100);
    expect(await failed).toBe(failure);
    await scope.close();
  });

  it("rule 17: the timeout of select() lasts as long as it says", async () => {
    start();
    const scope = createScope();
    const branches = { message: createChannel<string>(), timeout: 40 };
    expect(await lasts(time, 40, select(scope, branches))).toMatchObject({ key: "timeout" });
    await scope.close();
  });

  it("rule 17: checkpoint() yields to the event loop, for any system time", async () => {
    start();
    const scope = createScope();
    let stop = false;
    void flush().then(() => (stop = true));
    while (!stop) await checkpoint(scope);
    time.setCalendar();
    stop = false;
    void flush().then(() => (stop = true));
    while (!stop) await checkpoint(scope);
    await scope.close();
  });

  it("rule 11: a scope settles with a failure that was received, and with a failure that was not", async () => {
    start();
    const failure = new Error("boom");
    const received = withScope({ supervise: true }, async (scope) => {
      expect(await rejection(spawn(scope, () => Promise.reject(failure)))).toBe(failure);
      return "settled";
    });
    expect(await received).toBe("settled");
    const onError = vi.fn<(error: unknown) => void>();
    await withScope(
      { supervise: true, onError },
      (scope) => void spawn(scope, () => Promise.reject(failure)),
    );
    expect(onError.mock.calls.map(([error]) => error)).toEqual([failure]);
    const handle = createScope({ onError });
    createScope(handle, { onOrphan: "ignore" }).cancel();
    await handle.close();
  });
});

const fakes = Object.entries(timeKeepers).filter(([, time]) => time.isFake);

describe.each(fakes)("under the fake timers of %s", (name, time) => {
  it("rule 17: a scope that was opened before keeps its real timer, and clears it", async () => {
    const before = timers();
    const scope = createScope({ timeout: HOUR });
    const asleep = sleep(scope, 2 * HOUR);
    const restore = time.install();
    await time.advance(3 * 20);
    expect(scope.cancelled).toBe(false);
    scope.throwIfCancelled();
    scope.cancel();
    expect(await rejection(asleep)).toBe(scope.reason);
    await scope.close();
    restore();
    expect(timers()).toBeLessThanOrEqual(before);
  });

  it("rule 17: a scope that outlives them keeps the rest of its time", async () => {
    const restore = time.install();
    const scope = createScope({ timeout: 1_000 });
    await time.advance(20);
    restore();
    expect(scope.cancelled).toBe(false);
    scope.throwIfCancelled();
    expect(snapshot(scope).age).toBeGreaterThanOrEqual(0);
    await withScope(scope, { timeout: HOUR }, (inner) => inner.throwIfCancelled());
    await scope.close();
  });

  it.runIf(name !== "node:test, timers only")("rule 26: ages are in their time", async () => {
    onTestFinished(time.install());
    const scope = createScope();
    const before = snapshot(scope).age;
    await time.advance(500);
    expect(snapshot(scope).age - before).toBe(500);
    await scope.close();
  });

  it.runIf(["vitest", "sinon", "Jest"].includes(name))(
    "rule 17: a busy loop sees its deadline by their clock, and not by the real one",
    async () => {
      onTestFinished(time.install());
      const scope = createScope({ timeout: 40 });
      const { performance: fake } = globalThis;
      vi.spyOn(fake, "now").mockReturnValue(fake.now() + 39);
      scope.throwIfCancelled();
      vi.spyOn(fake, "now").mockReturnValue(fake.now() + 1);
      expect(thrown(() => scope.throwIfCancelled())).toBe(scope.reason);
      expect(scope.reason).toBeInstanceOf(DeadlineExceededError);
      vi.restoreAllMocks();
      await scope.close();
    },
  );
});
