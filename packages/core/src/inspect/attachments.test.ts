import { afterEach, beforeEach, expect, it, onTestFinished, vi } from "vitest";
import { attach, detach, onLastDetach } from "./attachments.js";

const key = Symbol.for("bough.attached");
const isKept = (): boolean => key in globalThis;

let closes: number;
beforeEach(() => {
  vi.useFakeTimers();
  closes = 0;
  vi.spyOn(process, "getBuiltinModule").mockReturnValue({ close: () => void closes++ });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Process ids that are running, as far as this file knows. */
function running(...pids: number[]): Set<number> {
  const alive = new Set(pids);
  const kill = vi.spyOn(process, "kill").mockImplementation((pid) => {
    if (alive.has(pid)) return true;
    throw Object.assign(new Error("kill ESRCH"), { code: "ESRCH" });
  });
  onTestFinished(() => kill.mockRestore());
  return alive;
}

it("closes the inspector that was opened for a command after its connection has closed, and keeps nothing", () => {
  attach(11, true);
  expect(isKept()).toBe(true);
  detach(11);
  expect(isKept()).toBe(false);
  expect(closes).toBe(0);
  vi.runAllTimers();
  expect(closes).toBe(1);
});

it("leaves an inspector open that was open before", () => {
  attach(11, false);
  detach(11);
  vi.runAllTimers();
  expect(closes).toBe(0);
});

it("closes it when the last command detaches, whichever command has opened it", () => {
  attach(11, true);
  attach(12, false);
  detach(11);
  vi.advanceTimersByTime(1_000);
  expect(closes).toBe(0);
  detach(12);
  vi.runAllTimers();
  expect(closes).toBe(1);
});

it("does not close it under a command that comes just then, which closes it later", () => {
  attach(11, true);
  detach(11);
  attach(12, false);
  vi.advanceTimersByTime(1_000);
  expect(closes).toBe(0);
  detach(12);
  vi.runAllTimers();
  expect(closes).toBe(1);
});

it("notices a command that was killed", () => {
  const alive = running(11, 12);
  attach(11, true);
  attach(12, false);
  vi.advanceTimersByTime(60_000);
  alive.delete(11);
  vi.advanceTimersByTime(60_000);
  expect(isKept()).toBe(true);
  alive.delete(12);
  vi.advanceTimersByTime(60_000);
  expect(isKept()).toBe(false);
  expect(closes).toBe(1);
  expect(vi.getTimerCount()).toBe(0);
});

it("does not treat a command of another user as ended", () => {
  vi.spyOn(process, "kill").mockImplementation(() => {
    throw Object.assign(new Error("kill EPERM"), { code: "EPERM" });
  });
  attach(11, true);
  vi.advanceTimersByTime(60_000);
  expect(isKept()).toBe(true);
  detach(11);
  vi.runAllTimers();
});

it("runs the cleanups when the last command detaches, or immediately without a command", () => {
  const log: string[] = [];
  attach(11, false);
  onLastDetach(() => log.push("later"));
  expect(log).toEqual([]);
  detach(99); // not one of them
  expect(log).toEqual([]);
  detach(11);
  expect(log).toEqual(["later"]);
  onLastDetach(() => log.push("at once"));
  expect(log).toEqual(["later", "at once"]);
});
