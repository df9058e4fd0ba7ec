import { createScope, withScope, type Scope, type ScopeHandle } from "bough";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { holds, type Act, type Check } from "./act.js";
import { createPricesAct } from "./acts/prices.js";
import { createWorkersAct } from "./acts/workers.js";
import { playAll } from "./showcase.js";
import { createPaint } from "./terminal/paint.js";
import { openStage } from "./terminal/stage.js";
import { liveTimers } from "./workers/census.js";

let scope: ScopeHandle;
let output: string;
const write = (text: string): void => void (output += text);

beforeEach(() => {
  scope = createScope({ name: "test" });
  output = "";
});
afterEach(async () => {
  vi.useRealTimers();
  await scope.close();
  await vi.waitUntil(() => openSockets() === 0, 10_000);
});

/** The counts of the process itself, which the showcase can't get wrong. */
const openSockets = (): number =>
  process.getActiveResourcesInfo().filter((kind) => kind.startsWith("TCP")).length;

const found = (checks: readonly Check[]): Record<string, unknown> =>
  Object.fromEntries(checks.map((check) => [check.claim, check.found]));

describe("playAll()", () => {
  const act = (found: number, play: (scope: Scope) => Promise<void> = async () => {}): Act => ({
    name: "act",
    title: "A title",
    introduction: ["What there is to see"],
    play,
    frame: () => ["a picture"],
    line: () => "a line",
    summary: () => ["the summary"],
    checks: () => [{ claim: "one", expected: 1, found }],
  });

  it("plays the acts one after the other and says what held", async () => {
    const log: string[] = [];
    const acts = ["first", "second"].map((name) =>
      act(1, async (scope) => {
        log.push(`${name} starts`);
        await Promise.resolve();
        scope.defer(() => log.push(`${name} is over`));
      }),
    );
    expect(await playAll(scope, openStage(scope, { write }), acts)).toBe(true);
    expect(log).toEqual(["first starts", "first is over", "second starts", "second is over"]);
    expect(output).toContain("Act 2 of 2: A title");
    expect(output).toContain("✓ one: 1");
    expect(output).toContain("Everything held.");
  });

  it("returns false when a claim does not hold", async () => {
    expect(await playAll(scope, openStage(scope, { write }), [act(2), act(1)])).toBe(false);
    expect(output).toContain("✗ one: expected 1, found 2");
    expect(output).toContain("1 claim(s) did not hold.");
  });

  it("stops the painter when the act fails, and passes the failure on", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const failure = new Error("no act");
    const failing = act(1, () => Promise.reject(failure));
    const error = await playAll(scope, openStage(scope, { write }), [failing]).catch((e: unknown) => e);
    expect(error).toBe(failure);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("the act of the prices", () => {
  const options = {
    schedule: { visits: 24, every: 2, patience: 100 },
    pace: { fast: 1, slow: 5, chunk: 2, failing: 4 },
  };

  it("ends every request as planned and leaves nothing over", async () => {
    const act = createPricesAct(createPaint(false), options);
    const held = await playAll(scope, openStage(scope, { write }), [act]);
    expect(act.checks().filter((check) => !holds(check))).toEqual([]);
    expect(held).toBe(true);
    expect(found(act.checks())).toEqual({
      "requests answered": 8,
      "clients that got status 200": 8,
      "requests cancelled (deadline)": 4,
      "clients that got status 504": 4,
      "requests cancelled (failure)": 4,
      "clients that got status 502": 4,
      "requests cancelled (disconnected)": 8,
      "clients that hung up": 8,
      "calls to the silent shop cancelled": 12,
      "calls the silent shop saw hung up": 12,
      "calls to the failing shop failed": 4,
      "calls to other shops failed": 0,
      "requests still running": 0,
      "tasks still alive": 0,
      "upstream sockets still open": 0,
    });
  });

  it("shows the running tasks, the cancelled tasks with their reasons, and the open sockets", async () => {
    const act = createPricesAct(createPaint(false), options);
    await withScope(scope, (scope) => act.play(scope));
    const frame = act.frame({ columns: 100, rows: 40 });
    expect(frame.length).toBeLessThanOrEqual(40);
    expect(frame.join("\n")).toContain(
      "24/24 ended: 8 answered; cancelled: 4 deadline, 8 disconnected, 4 failure",
    );
    expect(frame.join("\n")).toContain("0 requests, 0 upstream calls, 0 upstream sockets alive");
    expect(act.frame({ columns: 80, rows: 23 }).length).toBeLessThanOrEqual(23);
    expect(act.line()).toContain("24/24 ended");
    expect(act.summary().join("\n")).toMatch(/silent +0 +0 +0 +0 +4 +8 +0/);
  });

  it("stops at once when its scope is cancelled, and leaves nothing over", async () => {
    const act = createPricesAct(createPaint(false), options);
    const played = withScope(scope, (scope) => act.play(scope)).catch((error: unknown) => error);
    await vi.waitFor(() => expect(act.line()).toMatch(/ [1-9]\d* upstream sockets/), 10_000);
    scope.cancel();
    expect(await played).toBe(scope.reason);
    expect(act.line().slice(9, 80)).toMatch(/^0 requests, 0 upstream calls, 0 upstream sockets alive/);
    expect(act.checks().every(holds)).toBe(false);
  });

  it("refuses a number of visits that is none", () => {
    expect(() => createPricesAct(createPaint(false), { schedule: { visits: NaN } })).toThrow(RangeError);
  });
});

describe("the act of the workers", () => {
  const options = { workers: 1_000, pace: { growth: 0, phase: 20 } };
  const size = { columns: 80, rows: 23 };

  it("stops all workers when they are no longer held, and not before", async () => {
    const act = createWorkersAct(createPaint(false), options);
    await playAll(scope, openStage(scope, { write }), [act]);
    // Those of timers are exact only where no test runner has timers of its own.
    const [timers, others] = [true, false].map((of) =>
      act.checks().filter(({ claim }) => claim.startsWith("timers") === of),
    );
    expect(found(others ?? [])).toEqual({
      "workers started": 1_000,
      "alive after a collection while they were held": 1_000,
      "alive after they were dropped and collected": 0,
      heap: act.checks().at(-1)?.expected,
    });
    for (const { expected, found } of timers ?? []) {
      expect(Math.abs(Number(found) - Number(expected))).toBeLessThan(10);
    }
    expect(output).toContain("✓ alive after they were dropped and collected: 0");
  });

  it("shows how many are alive, in numbers and as a graph", async () => {
    const act = createWorkersAct(createPaint(false), options);
    await withScope(scope, (scope) => act.play(scope));
    const frame = act.frame(size);
    expect(frame.length).toBeLessThanOrEqual(size.rows);
    expect(Math.max(...frame.map((line) => line.length))).toBeLessThanOrEqual(size.columns);
    expect(act.line()).toMatch(/^ +\d+\.\d s {2}collected {2}0 workers alive, /);
    expect(frame.join("\n")).toContain("█");
    expect(frame.at(-1)).toMatch(/▴starting/);
    expect(act.frame({ columns: 40, rows: 8 }).length).toBeLessThanOrEqual(8);
  });

  it("makes the first picture before anything has happened", () => {
    const act = createWorkersAct(createPaint(false), options);
    expect(act.frame(size)[0]).toContain("0 workers alive");
    expect(act.checks().some(holds)).toBe(false);
  });

  it("stops the workers that are no longer held when its scope is cancelled", async () => {
    const before = liveTimers();
    const act = createWorkersAct(createPaint(false), { ...options, pace: { growth: 0, phase: 200 } });
    const played = withScope(scope, (scope) => act.play(scope)).catch((error: unknown) => error);
    await vi.waitFor(() => expect(act.line()).toContain("dropped"), { interval: 5, timeout: 10_000 });
    expect(act.line()).toMatch(/ dropped +(1,000|9\d\d) workers alive/);
    scope.cancel();
    expect(await played).toBe(scope.reason);
    expect(act.line()).toContain(" 0 workers alive");
    expect(liveTimers() - before).toBeLessThan(10);
    expect(act.checks().every(holds)).toBe(false);
  });

  it("refuses a number of workers that is none", () => {
    expect(() => createWorkersAct(createPaint(false), { workers: NaN })).toThrow(RangeError);
    expect(() => createWorkersAct(createPaint(false), { workers: 0 })).toThrow(RangeError);
  });
});
