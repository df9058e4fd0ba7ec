import {
  call,
  createScope as createEffectionScope,
  ensure,
  sleep as effectionSleep,
  suspend,
  until,
  type Operation,
} from "effection";
import { describe, expect, it } from "vitest";
import { deferred, flush, outcomeOf, rejection, thrown } from "../../test/support/deferred.js";
import { untilCancelled } from "../../test/support/until-cancelled.js";
import { createScope, ScopeClosedError, spawn, withScope, type Scope } from "../index.js";
import { snapshot } from "../inspect/index.js";
import { boughScope, effectionScope } from "./index.js";

const error = new Error("boom");

describe("effectionScope()", () => {
  it("runs operations, and resolves with their values", async () => {
    const value = await withScope(async (scope) => {
      const inner = await effectionScope(scope);
      return inner.run(function* () {
        return yield* until(Promise.resolve(1));
      });
    });
    expect(value).toBe(1);
  });

  it("halts its operations when the scope is cancelled, makes the reason available, and is awaited", async () => {
    const log: unknown[] = [];
    const gate = deferred();
    const scope = createScope();
    const inner = await effectionScope(scope);
    const task = inner.run(function* () {
      try {
        yield* suspend();
      } finally {
        log.push((yield* boughScope.expect()).reason);
        yield* until(gate.promise);
        log.push("cleaned");
      }
    });
    const halted = rejection(task);
    const cause = new Error("why");
    scope.cancel(cause);
    expect(log).toEqual([scope.reason]);
    expect(scope.reason?.cause).toBe(cause);
    const closed = scope.close();
    expect(await outcomeOf(closed)).toBe("pending");
    gate.resolve();
    await closed;
    expect(log.at(-1)).toBe("cleaned");
    expect(await halted).toMatchObject({ message: "halted" });
  });

  it("does not keep the scope from ending, and is halted at the end of the scope", async () => {
    const log: string[] = [];
    await withScope(async (scope) => {
      const inner = await effectionScope(scope);
      void inner.run(function* () {
        yield* ensure(() => void log.push("halted"));
        yield* suspend();
      });
      spawn(scope, async () => {
        await flush();
        log.push("child");
      });
    });
    expect(log).toEqual(["child", "halted"]);
  });

  it("makes the error of an operation the failure of the scope, the same object, though it is not awaited", async () => {
    const log: string[] = [];
    const scope = createScope();
    const inner = await effectionScope(scope);
    void inner.run(function* () {
      yield* ensure(() => void log.push("sibling halted"));
      yield* suspend();
    });
    void inner.run(function* () {
      yield* until(flush());
      throw error;
    });
    await rejection(spawn(scope, untilCancelled));
    expect(await rejection(scope.join())).toBe(error);
    expect(scope.reason).toMatchObject({ kind: "failure", cause: error });
    expect(log).toEqual(["sibling halted"]);
  });

  it("makes an error of a tear-down a failure", async () => {
    const scope = createScope();
    const inner = await effectionScope(scope);
    void inner.run(function* () {
      try {
        yield* suspend();
      } finally {
        // oxlint-disable-next-line no-unsafe-finally -- that is what is tested
        throw error;
      }
    });
    expect(await rejection(scope.close())).toBe(error);
  });

  it("leaves errors that an operation catches alone", async () => {
    await withScope(async (scope) => {
      const inner = await effectionScope(scope);
      const caught = await inner.run(function* () {
        try {
          return yield* until(Promise.reject(error));
        } catch (reason) {
          return reason;
        }
      });
      expect(caught).toBe(error);
    });
  });

  it("starts nothing once the scope has ended", async () => {
    const scope = createScope();
    const inner = await effectionScope(scope);
    await scope.close();
    let calls = 0;
    const operation = (): Operation<number> => {
      calls += 1;
      return call(() => calls);
    };
    expect(thrown(() => inner.run(operation))).toMatchObject({ kind: "closed" });
    expect(thrown(() => inner.spawn(operation))).toMatchObject({ kind: "closed" });
    expect(calls).toBe(0);
  });

  it("is an Effection scope with contexts and children", async () => {
    await withScope(async (scope) => {
      const inner = await effectionScope(scope);
      expect(inner.get(boughScope)?.path).toBe(`${scope.path}/effectionScope`);
      const child = createEffectionScope(inner);
      expect(await child.run(() => boughScope.expect())).toBe(inner.expect(boughScope));
    });
  });

  it("does not count towards the concurrency of its scope", async () => {
    await withScope({ concurrency: 1 }, async (scope) => {
      await effectionScope(scope);
      expect(await spawn(scope, () => "runs")).toBe("runs");
    });
  });

  it("can be made inside an operation", async () => {
    const value = await withScope(function* (scope) {
      const inner = yield* until(effectionScope(scope));
      return yield* yield* inner.spawn(function* () {
        yield* effectionSleep(0);
        return 1;
      });
    });
    expect(value).toBe(1);
  });

  it("rejects with the reason in a scope that is cancelled, at once or before it could begin", async () => {
    const scope = createScope();
    scope.cancel();
    expect(await rejection(effectionScope(scope))).toBe(scope.reason);
    const outer = createScope();
    const reasons: unknown[] = [];
    spawn(outer, function* (own) {
      const made = effectionScope(own);
      outer.cancel();
      made.catch((reason: unknown) => reasons.push(reason));
      yield* suspend();
    });
    await outer.close();
    expect(reasons).toEqual([outer.reason]);
  });

  it("rejects in a scope that has ended, and for a value that is not a scope", async () => {
    const scope = createScope();
    await scope.close();
    expect(await rejection(effectionScope(scope))).toBeInstanceOf(ScopeClosedError);
    expect(await rejection(effectionScope({} as Scope))).toBeInstanceOf(TypeError);
  });

  it("leaves nothing behind in a scope that continues", async () => {
    await withScope(async (scope) => {
      await withScope(scope, async (own) => {
        await effectionScope(own);
        expect(snapshot(scope).counts.children).toBe(1);
      });
      expect(snapshot(scope).counts.children).toBe(0);
    });
  });
});
