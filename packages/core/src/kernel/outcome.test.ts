import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { flush, outcomeOf, rejection } from "../../test/support/deferred.js";
import { createScope, spawn, withScope, type Scope, type TaskInfo } from "../index.js";
import { setTracing } from "./call-site.js";

// Unhandled rejections are in test/unhandled.test.ts: they need a process of their own.

const error = new Error("boom");

describe("the receiver of a task's failure in a supervising scope", () => {
  /** Spawns a failing task, waits so many microtasks, awaits it; says who heard of it. */
  async function receiversAfter(microtasks: number): Promise<{ awaiter: boolean; onError: number }> {
    const onError = vi.fn<(thrown: unknown, task: TaskInfo) => void>();
    const scope = createScope({ supervise: true, onError });
    const task = spawn(scope, () => {
      throw error;
    });
    for (let index = 0; index < microtasks; index++) await Promise.resolve();
    const awaiter = (await rejection(task)) === error;
    await scope.close();
    await flush();
    return { awaiter, onError: onError.mock.calls.length };
  }

  it("rule 11: is the code that awaits it in the same tick or a later microtask, and then not onError", async () => {
    for (const microtasks of [0, 1, 5]) {
      expect(await receiversAfter(microtasks)).toEqual({ awaiter: true, onError: 0 });
    }
  });

  it("rule 11: is onError if it is not awaited by then; code that awaits it later gets it too, and onError is not called again", async () => {
    const onError = vi.fn<(thrown: unknown, task: TaskInfo) => void>();
    const scope = createScope({ supervise: true, onError });
    const task = spawn(scope, () => Promise.reject(error));
    await flush();
    await flush();
    expect(onError.mock.calls.map(([thrown]) => thrown)).toEqual([error]);
    expect(await rejection(task)).toBe(error);
    await scope.close();
    expect(onError).toHaveBeenCalledOnce();
    expect(scope.errors).toEqual([]);
  });

  it("rule 11: is decided before the supervising scope settles", async () => {
    const log: string[] = [];
    await withScope({ supervise: true, onError: () => log.push("onError") }, (scope) => {
      spawn(scope, () => Promise.reject(error));
    });
    log.push("settled");
    expect(log).toEqual(["onError", "settled"]);
  });
});

describe("tracing", () => {
  let before = false;
  beforeEach(() => {
    before = setTracing(true);
  });
  afterEach(() => void setTracing(before));

  it("rule 26: records where a task was spawned, for reports, and only while it is on", async () => {
    const infos: TaskInfo[] = [];
    const scope = createScope({ supervise: true, onError: (_, task) => infos.push(task) });
    const fails = (): Promise<never> => Promise.reject(error);
    spawn(scope, fails);
    expect(setTracing(false)).toBe(true);
    spawn(scope, fails);
    await scope.join();
    await flush();
    expect(infos).toHaveLength(2);
    expect(infos[0]?.spawnedAt).toContain("outcome.test.ts");
    expect(infos[1]).not.toHaveProperty("spawnedAt");
  });

  it("setTracing() refuses a value that is not a boolean", () => {
    expect(() => setTracing("yes" as never)).toThrow(/on must be a boolean.*yes/);
    expect(setTracing(true)).toBe(true);
  });
});

describe("the signal of a scope", () => {
  it("is created on the first read, stays the same object, and aborts with the scope", () => {
    const scope = createScope();
    const { signal } = scope;
    expect(scope.signal).toBe(signal);
    expect(signal.aborted).toBe(false);
    scope.cancel();
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toBe(scope.reason);
    expect(scope.signal).toBe(signal);
  });

  it("aborts in order, although a listener of the same cancellation is the first to read it", () => {
    const log: string[] = [];
    const scope = createScope({ name: "scope" });
    const child = createScope(scope, { name: "child" });
    const listen = (of: Scope): void =>
      of.signal.addEventListener("abort", () => log.push(`${of.name} ${of.signal.aborted}`));
    scope.onCancel(() => {
      listen(child);
      log.push("callback");
    });
    scope.cancel();
    expect(log).toEqual(["callback", "child true"]);
  });

  it("of a scope that has ended without being cancelled never fires", async () => {
    const scope = createScope();
    const listener = vi.fn<() => void>();
    scope.signal.addEventListener("abort", listener);
    await scope.join();
    scope.cancel();
    expect(await outcomeOf(scope.close())).toBe("resolved");
    expect(listener).not.toHaveBeenCalled();
  });
});
