import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { beBusy } from "../../../test/support/busy.js";
import { flush, outcomeOf, rejection } from "../../../test/support/deferred.js";
import { checkpoint, createScope, withScope, type Scope } from "../../index.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
});

afterEach(() => {
  vi.useRealTimers();
});

describe("checkpoint()", () => {
  it("yields to the event loop when the time slice is used up, and only then", async () => {
    const scope = createScope();
    vi.advanceTimersByTime(60_000);
    await checkpoint(scope);
    let turns = 0;
    const turn = (): void => {
      turns += 1;
      setImmediate(turn).unref();
    };
    turn();
    turns = 0;
    for (let n = 0; n < 1_000; n++) await checkpoint(scope);
    expect(turns).toBe(0);
    vi.advanceTimersByTime(5);
    await checkpoint(scope);
    expect(turns).toBeGreaterThan(0);
    await scope.close();
  });

  it("rejects with the reason in a scope that is cancelled already", async () => {
    const scope = createScope();
    scope.cancel();
    expect(await rejection(checkpoint(scope))).toBe(scope.reason);
  });

  it("rejects with the reason when its scope is cancelled while it yields", async () => {
    const scope = createScope();
    vi.advanceTimersByTime(120_000);
    const point = checkpoint(scope);
    scope.cancel();
    expect(await rejection(point)).toBe(scope.reason);
  });

  it("rule 17: detects a deadline by the clock, since no timer fires during a busy loop", async () => {
    const error = await rejection(
      withScope({ timeout: 100 }, async (scope) => {
        await checkpoint(scope);
        beBusy(100);
        await checkpoint(scope);
      }),
    );
    expect(error).toMatchObject({ kind: "deadline" });
  });

  it("lets several loops run in turn", async () => {
    const scope = createScope();
    const log: string[] = [];
    const loop = async (name: string): Promise<void> => {
      for (let n = 0; n < 3; n++) {
        vi.advanceTimersByTime(5);
        await checkpoint(scope);
        log.push(name);
      }
    };
    await Promise.all([loop("a"), loop("b")]);
    expect(log.toSorted()).toEqual(["a", "a", "a", "b", "b", "b"]);
    expect(log.join("")).not.toBe("aaabbb");
    await scope.close();
  });

  it("has one time slice for all tasks, so that other code does not wait longer if more tasks compute", async () => {
    const scope = createScope();
    vi.advanceTimersByTime(60_000);
    let [spent, most] = [0, 0];
    let turns = setImmediate(function turn() {
      spent = 0;
      turns = setImmediate(turn);
    });
    const loop = async (): Promise<void> => {
      for (let n = 0; n < 20; n++) {
        vi.advanceTimersByTime(1);
        most = Math.max(most, ++spent);
        await checkpoint(scope);
      }
    };
    await Promise.all(Array.from({ length: 10 }, loop));
    clearImmediate(turns);
    expect(most).toBeLessThan(5 + 10);
    await scope.close();
  });

  it("yields although a fake clock stands still", async () => {
    const scope = createScope();
    let stop = false;
    setImmediate(() => (stop = true));
    while (!stop) await checkpoint(scope);
    await scope.close();
  });

  it("does not wait for fake timers", async () => {
    vi.useFakeTimers();
    vi.advanceTimersByTime(240_000);
    const scope = createScope();
    const point = checkpoint(scope);
    await flush();
    expect(await outcomeOf(point)).toBe("resolved");
    await scope.close();
  });

  it("rejects a value that is not a scope", async () => {
    expect(await rejection(checkpoint({} as Scope))).toBeInstanceOf(TypeError);
  });
});
