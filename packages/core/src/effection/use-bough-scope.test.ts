import { run, scoped, spawn as effectionSpawn, suspend, until } from "effection";
import { describe, expect, it } from "vitest";
import { deferred, outcomeOf, rejection, thrown } from "../../test/support/deferred.js";
import { untilCancelled } from "../../test/support/until-cancelled.js";
import { createContextKey, createScope, spawn, withScope, type Scope, type ScopeOptions } from "../index.js";
import { useBoughScope } from "./index.js";

const error = new Error("boom");

describe("useBoughScope()", () => {
  it("is a root without a bough scope around it, and is closed when the operation ends", async () => {
    let used!: Scope;
    const value = await run(function* () {
      used = yield* useBoughScope({ name: "helpers" });
      spawn(used, untilCancelled);
      expect(used.state).toBe("open");
      return yield* until(spawn(used, () => 1));
    });
    expect(value).toBe(1);
    expect([used.path, used.state, used.reason?.kind]).toEqual(["helpers", "closed", "closed"]);
  });

  it("is a child of the bough scope that the operation runs in", async () => {
    const key = createContextKey<string>("key");
    await withScope({ name: "outer" }, function* (scope) {
      scope.set(key, "value");
      const used = yield* useBoughScope({ name: "inner" });
      expect(used.path).toBe("outer/inner");
      expect(used.get(key)).toBe("value");
    });
  });

  it("is awaited when the operation is halted", async () => {
    const gate = deferred();
    const log: string[] = [];
    const task = run(function* () {
      const used = yield* useBoughScope();
      spawn(used, async (own) => {
        own.defer(() => gate.promise.then(() => log.push("cleaned")));
        await untilCancelled(own);
      });
      yield* suspend();
    });
    const halted = Promise.resolve().then(() => task.halt());
    expect(await outcomeOf(halted)).toBe("pending");
    gate.resolve();
    await halted;
    expect(log).toEqual(["cleaned"]);
  });

  it("is cancelled with the reason of the scope above before the operation's finally blocks run", async () => {
    const scope = createScope();
    const seen: unknown[] = [];
    spawn(scope, function* () {
      const used = yield* useBoughScope();
      used.onCancel((reason) => seen.push(reason));
      try {
        yield* suspend();
      } finally {
        seen.push(used.reason);
      }
    });
    scope.cancel("why");
    await scope.close();
    expect(seen).toEqual([scope.reason, scope.reason]);
    expect(scope.reason?.cause).toBe("why");
  });

  it("raises a failure in the operation, the same object, after the rest has settled", async () => {
    const log: string[] = [];
    const task = run(function* () {
      const used = yield* useBoughScope();
      used.defer(() => log.push("cleaned"));
      spawn(used, async () => {
        throw error;
      });
      try {
        yield* suspend();
      } finally {
        log.push("operation ends");
      }
    });
    expect(await rejection(task)).toBe(error);
    expect(log).toEqual(["cleaned", "operation ends"]);
  });

  it("makes a failure that is not caught the failure of the bough task around it, once", async () => {
    const received: unknown[] = [];
    const scope = createScope({ onError: (reason) => received.push(reason) });
    const task = spawn(scope, function* () {
      const used = yield* useBoughScope();
      spawn(used, () => {
        throw error;
      });
      yield* suspend();
    });
    expect(await rejection(scope.join())).toBe(error);
    expect([task.status, scope.errors, received]).toEqual(["failed", [error], []]);
  });

  it("lets an operation catch a failure, which is then not reported again", async () => {
    const caught = await withScope(function* () {
      try {
        yield* scoped(function* () {
          const used = yield* useBoughScope();
          spawn(used, () => {
            throw error;
          });
          yield* suspend();
        });
      } catch (reason) {
        return reason;
      }
      return undefined;
    });
    expect(caught).toBe(error);
  });

  it("makes the end of the operation fail when a cleanup fails", async () => {
    const task = run(function* () {
      const used = yield* useBoughScope();
      used.defer(() => {
        throw error;
      });
    });
    expect(await rejection(task)).toBe(error);
  });

  it("leaves the operation alone when it is cancelled by itself, or by its timeout", async () => {
    for (const options of [{}, { timeout: 0 }]) {
      const value = await run(function* () {
        const used = yield* useBoughScope(options);
        const task = spawn(used, untilCancelled);
        used.cancel();
        const reason: unknown = yield* until(rejection(task));
        expect(reason).toBe(used.reason);
        return 1;
      });
      expect(value).toBe(1);
    }
  });

  it("passes a resource of Effection's and a task of bough's on to each other's owners", async () => {
    const log: string[] = [];
    await withScope(function* () {
      const used = yield* useBoughScope();
      used.use({ [Symbol.dispose]: () => void log.push("disposed") });
      const child = yield* effectionSpawn(function* () {
        return yield* until(spawn(used, () => "from bough"));
      });
      log.push(yield* child);
    });
    expect(log).toEqual(["from bough", "disposed"]);
  });

  it("starts cancelled in a bough scope that is cancelled", async () => {
    const scope = createScope();
    let state: unknown;
    spawn(scope, function* () {
      try {
        yield* suspend();
      } finally {
        const used = yield* useBoughScope();
        state = [used.reason, spawn(used, () => 1).status];
      }
    });
    scope.cancel();
    await scope.close();
    expect(state).toEqual([scope.reason, "cancelled"]);
  });

  it("refuses bad options when it is called", () => {
    expect(thrown(() => useBoughScope({ timeout: -1 }))).toBeInstanceOf(RangeError);
    expect(thrown(() => useBoughScope(null as unknown as ScopeOptions))).toBeInstanceOf(TypeError);
  });
});
