import { call, run as runOperation, sleep as operationSleep } from "effection";
import { describe, expect, it } from "vitest";
import { deferred, flush, thrown } from "../../test/support/deferred.js";
import { BoughError, background, createScope, map, sleep, spawn, withScope, type Scope } from "../index.js";
import { scopeBrand } from "../errors/brands.js";
import { collectGarbage } from "../testing/index.js";
import { ambient, currentScope, runWithScope } from "./index.js";
import "../effection/index.js";

describe("currentScope()", () => {
  it("is undefined where it was not set, also in a task", async () => {
    expect(currentScope()).toBeUndefined();
    await withScope(async (scope) => {
      expect(await spawn(scope, async () => currentScope())).toBeUndefined();
    });
  });

  it("follows the code through promises and timers", async () => {
    const found = await withScope((scope) =>
      runWithScope(scope, async () => {
        await flush();
        await new Promise((resolve) => void setImmediate(resolve));
        return currentScope() === scope;
      }),
    );
    expect(found).toBe(true);
  });

  it("is that of the enclosing worker in a plain spawn, a queued one, a defer and an onCancel callback", async () => {
    const seen: (string | undefined)[] = [];
    const note = (): void => void seen.push(currentScope()?.name);
    await withScope({ name: "outer" }, (outer) =>
      runWithScope(outer, async () => {
        const inner = createScope(outer, { name: "inner", concurrency: 1 });
        inner.defer(note);
        inner.onCancel(note);
        spawn(inner, () => sleep(inner, 0));
        spawn(inner, note);
        await sleep(outer, 1);
        await inner.close();
      }),
    );
    expect(seen).toEqual(["outer", "outer", "outer"]);
  });

  it("may have ended, as its state shows", async () => {
    const gate = deferred();
    let late: Promise<Scope | undefined> | undefined;
    await withScope((scope) =>
      runWithScope(scope, () => {
        late = gate.promise.then(() => currentScope()); // nobody's: it outlives the scope
      }),
    );
    gate.resolve();
    expect((await late)?.state).toBe("closed");
  });
});

describe("runWithScope()", () => {
  it("calls fn synchronously and returns its result", () => {
    const scope = createScope();
    expect(runWithScope(scope, () => [currentScope()?.path, 42])).toEqual([scope.path, 42]);
    expect(currentScope()).toBeUndefined();
  });

  it("throws what fn throws", () => {
    const error = new Error("own");
    const fails = (): never => {
      throw error;
    };
    expect(thrown(() => runWithScope(background, fails))).toBe(error);
    expect(currentScope()).toBeUndefined();
  });

  it("nests, and restores the outer scope", () => {
    const [a, b] = [createScope({ name: "a" }), createScope({ name: "b" })];
    const names = runWithScope(a, () => [
      currentScope()?.name,
      runWithScope(b, () => currentScope()?.name),
      currentScope()?.name,
    ]);
    expect(names).toEqual(["a", "b", "a"]);
  });

  it.each([undefined, null, {}, "scope", Promise.resolve()])("refuses the scope %s", (scope) => {
    let called = false;
    expect(thrown(() => runWithScope(scope as never, () => (called = true)))).toBeInstanceOf(TypeError);
    expect(called).toBe(false);
  });

  it("refuses another copy's scope, and an fn that is not a function", () => {
    expect(thrown(() => runWithScope({ [scopeBrand]: true } as never, () => 1))).toBeInstanceOf(BoughError);
    expect(thrown(() => runWithScope(background, 1 as never))).toBeInstanceOf(TypeError);
  });

  it("rule 19: holds the view, never the handle: a dropped handle is collected, and its scope cancelled", async () => {
    let current: Scope | undefined;
    // Apart, so that no closure mentions the handle but the one that makes it: that is all a user has to heed, too.
    const remember = (): void => {
      current = currentScope();
      setTimeout(() => {}, 1_000_000).unref(); // a pending timer keeps its store
    };
    const sleeper = (task: Scope): Promise<void> => sleep(task, Infinity);
    const make = (): WeakRef<object> => {
      const handle = createScope({ onOrphan: "ignore" });
      runWithScope(handle, remember);
      spawn(handle, ambient(sleeper));
      expect(current === handle).toBe(false);
      return new WeakRef(handle);
    };
    const handle = make();
    for (let round = 0; round < 10 && handle.deref() !== undefined; round++) await collectGarbage();
    expect(handle.deref() === undefined).toBe(true);
    expect(current?.reason?.kind).toBe("orphaned");
  });
});

describe("ambient()", () => {
  it("makes the worker's own scope the current one, at every depth", async () => {
    const path = async (): Promise<string | undefined> => currentScope()?.path;
    const paths = await withScope(
      ambient(async function job(scope) {
        const inner = await spawn(scope, ambient(path));
        return [await path(), inner, await path()];
      }),
    );
    expect(paths).toEqual(["job", "job/path", "job"]);
  });

  it("keeps name, arguments, value and failure of the worker", async () => {
    const error = new Error("own");
    expect(ambient(function named() {}).name).toBe("named");
    expect(await withScope(ambient((scope) => scope.state))).toBe("open");
    expect(await withScope(ambient(() => Promise.reject(error))).catch((reason: unknown) => reason)).toBe(
      error,
    );
  });

  it("works for siblings that run at once, and for queued ones", async () => {
    const names = await withScope({ concurrency: 2 }, async (scope) => {
      const tasks = ["a", "b", "c", "d"].map((name) =>
        spawn(
          scope,
          ambient(async () => (await flush(), currentScope()?.name)),
          { name },
        ),
      );
      return Promise.all(tasks);
    });
    expect(names).toEqual(["a", "b", "c", "d"]);
  });

  it("is current in every step of an Effection operation, and when it is halted", async () => {
    const seen: (string | undefined)[] = [];
    const note = (): void => void seen.push(currentScope()?.name);
    const scope = createScope({ name: "scope" });
    const task = spawn(
      scope,
      ambient(function* operation() {
        try {
          note();
          yield* operationSleep(0);
          note();
          yield* operationSleep(1_000_000);
        } finally {
          note();
        }
      }),
    );
    while (seen.length < 2) await runOperation(() => operationSleep(1));
    task.cancel();
    await scope.join();
    expect(seen).toEqual(["operation", "operation", "operation"]);
  });

  it("throws an operation's error into it", async () => {
    const value = await withScope(
      ambient(function* () {
        try {
          yield* call(() => Promise.reject(new Error("inner")));
        } catch (error) {
          return [String(error), currentScope()?.state];
        }
        return [];
      }),
    );
    expect(value).toEqual(["Error: inner", "open"]);
  });

  it("leaves the values of map's workers alone", async () => {
    const result = await withScope((scope) =>
      runWithScope(scope, () => map(scope, [1, 2], async (item) => [item, currentScope() === scope])),
    );
    expect(result).toEqual([
      [1, true],
      [2, true],
    ]);
  });

  it("refuses a worker that is not a function", () => {
    expect(thrown(() => ambient("worker" as never))).toBeInstanceOf(TypeError);
  });
});
