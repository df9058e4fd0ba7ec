import { createScope, withScope, type Scope, type ScopeHandle } from "bough";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { holds, type Act, type Check } from "./act.js";
import { createPricesAct } from "./acts/prices.js";
import { playAll } from "./showcase.js";
import { createPaint } from "./terminal/paint.js";
import { openStage } from "./terminal/stage.js";

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
  await vi.waitUntil(() => openSockets() === 0);
});

/** What the process itself says: nothing of it can be miscounted by the showcase. */
const openSockets = (): number =>
  process.getActiveResourcesInfo().filter((kind) => kind.startsWith("TCP")).length;

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

  const found = (checks: readonly Check[]): Record<string, unknown> =>
    Object.fromEntries(checks.map((check) => [check.claim, check.found]));

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
      "requests cancelled (explicit)": 8,
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

  it("shows what runs, what was cancelled and why, and what is open", async () => {
    const act = createPricesAct(createPaint(false), options);
    await withScope(scope, (scope) => act.play(scope));
    const frame = act.frame({ columns: 100, rows: 40 });
    expect(frame.length).toBeLessThanOrEqual(40);
    expect(frame.join("\n")).toContain(
      "24/24 ended: 8 answered; cancelled: 4 deadline, 8 explicit, 4 failure",
    );
    expect(frame.join("\n")).toContain("0 requests, 0 upstream calls, 0 upstream sockets alive");
    expect(act.frame({ columns: 80, rows: 23 }).length).toBeLessThanOrEqual(23);
    expect(act.line()).toContain("24/24 ended");
    expect(act.summary().join("\n")).toMatch(/silent +0 +0 +0 +0 +4 +8 +0/);
  });

  it("stops at once when its scope is cancelled, and leaves nothing over", async () => {
    const act = createPricesAct(createPaint(false), options);
    const played = withScope(scope, (scope) => act.play(scope)).catch((error: unknown) => error);
    await vi.waitFor(() => expect(act.line()).toMatch(/ [1-9]\d* upstream sockets/));
    scope.cancel();
    expect(await played).toBe(scope.reason);
    expect(act.line().slice(9, 80)).toMatch(/^0 requests, 0 upstream calls, 0 upstream sockets alive/);
    expect(act.checks().every(holds)).toBe(false);
  });

  it("refuses a number of visits that is none", () => {
    expect(() => createPricesAct(createPaint(false), { schedule: { visits: NaN } })).toThrow(RangeError);
  });
});
