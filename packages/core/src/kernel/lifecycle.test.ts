import { describe, expect, it, vi } from "vitest";
import { deferred, flush, type Deferred, outcomeOf, rejection } from "../../test/support/deferred.js";
import { createScope, spawn, suppressed, withScope, type Scope } from "../index.js";
import { sleep } from "../flow/time/sleep.js";
import { useFakeTime } from "../../test/support/fake-time.js";

const untilCancelled = (scope: Scope): Promise<never> =>
  new Promise((_, reject) => scope.onCancel((reason) => reject(reason)));

useFakeTime();

describe("the end of a scope", () => {
  /** A scope in which everything logs its end. */
  async function endings(
    end: (inner: { readonly scope: Scope; readonly gate: Deferred<void> }) => unknown,
    timeout?: number,
  ): Promise<string[]> {
    const log: string[] = [];
    const gate = deferred();
    const started = deferred<Scope>();
    const done = withScope({ name: "root", timeout }, async (scope) => {
      scope.defer(() => log.push("first defer"));
      scope.defer(async () => {
        await Promise.resolve();
        log.push("second defer");
      });
      spawn(scope, async function child(inner) {
        inner.defer(() => log.push("child's defer"));
        spawn(inner, async function grandchild(deep) {
          deep.defer(() => log.push("grandchild's defer"));
          await Promise.race([gate.promise, untilCancelled(deep)]).finally(() => log.push("grandchild"));
        });
        await Promise.race([gate.promise, untilCancelled(inner)]).finally(() => log.push("child"));
      });
      spawn(
        scope,
        async (inner) => {
          inner.defer(() => log.push("daemon's defer"));
          await untilCancelled(inner).finally(() => log.push("daemon"));
        },
        { daemon: true },
      );
      started.resolve(scope);
      await Promise.race([gate.promise, untilCancelled(scope)]);
      log.push("body");
    });
    const settled = done.then(
      () => log.push("resolved"),
      (error: unknown) => log.push(`rejected: ${(error as Error).name}`),
    );
    await end({ scope: await started.promise, gate });
    await settled;
    return log;
  }

  const before = (log: string[], first: string, then: string): void =>
    expect(log.indexOf(first)).toBeLessThan(log.indexOf(then));

  /** Every end has this in common. */
  function expectOrder(log: string[]): void {
    before(log, "grandchild", "grandchild's defer");
    before(log, "grandchild's defer", "child's defer");
    before(log, "child", "child's defer");
    before(log, "child's defer", "second defer");
    before(log, "daemon's defer", "second defer");
    before(log, "second defer", "first defer");
    expect(log.filter((line) => line === "first defer")).toHaveLength(1);
    expect(log.at(-2)).toBe("first defer");
  }

  it("rule 1: comes after the body, the children, the daemons and the defers, in this order", async () => {
    const log = await endings(({ gate }) => gate.resolve());
    expectOrder(log);
    before(log, "body", "daemon");
    before(log, "child's defer", "daemon");
    expect(log.at(-1)).toBe("resolved");
  });

  it("rule 1: has the same order when the body fails", async () => {
    const log = await endings(({ gate }) => gate.reject(new TypeError("boom")));
    expectOrder(log);
    expect(log.at(-1)).toBe("rejected: TypeError");
  });

  it("rule 1: has the same order when a child fails", async () => {
    const log = await endings(({ scope }) => {
      spawn(scope, () => Promise.reject(new TypeError("boom")));
    });
    expectOrder(log);
    expect(log.at(-1)).toBe("rejected: TypeError");
  });

  it("rule 1: has the same order after a cancellation", async () => {
    const log = await endings(({ scope }) => scope.cancel());
    expectOrder(log);
    expect(log.at(-1)).toBe("rejected: AbortError");
  });

  it("rule 1: has the same order after a deadline", async () => {
    const log = await endings(() => vi.advanceTimersByTime(100), 100);
    expectOrder(log);
    expect(log.at(-1)).toBe("rejected: TimeoutError");
  });

  it("rule 1: a child that never settles keeps its scope from settling, in every case", async () => {
    const never = deferred();
    for (const end of [
      (scope: Scope) => void scope.cancel(),
      (scope: Scope) => void spawn(scope, () => Promise.reject(new Error("boom"))),
      () => undefined,
    ]) {
      const cleanup = vi.fn<() => void>();
      const done = withScope((scope) => {
        scope.defer(cleanup);
        spawn(scope, () => never.promise);
        end(scope);
      });
      expect(await outcomeOf(done)).toBe("pending");
      expect(cleanup).not.toHaveBeenCalled();
    }
    never.resolve();
    await flush();
  });
});

describe("a scope that was cancelled after its work", () => {
  it("rule 15: a body that returns a value has succeeded, even if the deadline passed meanwhile", async () => {
    const gate = deferred<string>();
    let scope!: Scope;
    const done = withScope({ timeout: 10 }, (inner) => {
      scope = inner;
      return gate.promise;
    });
    vi.advanceTimersByTime(10);
    expect(scope.cancelled).toBe(true);
    gate.resolve("value");
    expect(await done).toBe("value");
  });

  it("rule 15: a worker that returns a value has succeeded, even if its scope was cancelled meanwhile", async () => {
    const gate = deferred<string>();
    const scope = createScope();
    const task = spawn(scope, () => gate.promise);
    const own = spawn(scope, () => gate.promise, { timeout: 10 });
    scope.cancel();
    gate.resolve("value");
    expect(await task).toBe("value");
    expect(await own).toBe("value");
    await scope.join(); // nothing was cut short
  });

  it("rule 15: a scope whose child was cut short rejects with the reason, although its body returned", async () => {
    const gate = deferred<string>();
    let scope!: Scope;
    const done = withScope((inner) => {
      scope = inner;
      spawn(inner, untilCancelled);
      return gate.promise;
    });
    scope.cancel();
    gate.resolve("value");
    expect(await rejection(done)).toBe(scope.reason);
  });

  it("rule 15: a scope is cut short if any descendant is cut short", async () => {
    const scope = createScope();
    const task = spawn(scope, (inner) => {
      const child = createScope(inner);
      spawn(child, untilCancelled);
    });
    scope.cancel();
    expect(await rejection(task)).toBe(scope.reason);
    expect(await rejection(scope.join())).toBe(scope.reason);
  });

  it("rule 15: a child that was cancelled separately does not affect its parent", async () => {
    expect(
      await withScope(async (scope) => {
        const task = spawn(scope, untilCancelled);
        task.cancel();
        await flush();
        return "value";
      }),
    ).toBe("value");
  });

  it("rule 15: a scope that was cancelled while it was idle was not cut short", async () => {
    const scope = createScope();
    scope.cancel();
    await scope.join();
    await scope.close();
  });

  it("rule 15: a failure comes before the reason", async () => {
    const error = new Error("of a cleanup");
    const done = withScope(async (scope) => {
      scope.defer(() => {
        throw error;
      });
      scope.cancel();
      await sleep(scope, 10);
    });
    expect(await rejection(done)).toBe(error);
  });
});

describe("failures", () => {
  const [first, second, third] = [new Error("first"), new Error("second"), new Error("third")] as const;

  it("rule 9: a worker that throws cancels its parent, with kind failure and the error as cause", async () => {
    const gate = deferred();
    const scope = createScope({ name: "parent" });
    const sibling = spawn(scope, untilCancelled);
    const task = spawn(scope, () => gate.promise);
    const joined = rejection(scope.join());
    gate.reject(first);
    expect(await joined).toBe(first);
    expect(scope.reason).toMatchObject({ kind: "failure", scope: "parent" });
    expect(scope.reason?.cause).toBe(first);
    expect([task.status, sibling.status]).toEqual(["failed", "cancelled"]);
  });

  it("rule 9: everything up to the first withScope has one reason, and nothing above receives the failure", async () => {
    await withScope(async (outer) => {
      const reasons: unknown[] = [];
      let middle!: Scope;
      const inner = withScope(outer, { name: "middle" }, (scope) => {
        middle = scope;
        spawn(scope, function upper(task) {
          task.onCancel((reason) => reasons.push(reason));
          spawn(task, function lower(leaf) {
            leaf.onCancel((reason) => reasons.push(reason));
            spawn(leaf, () => Promise.reject(first));
            return untilCancelled(leaf);
          });
          return untilCancelled(task);
        });
      });
      expect(await rejection(inner)).toBe(first);
      expect(reasons).toEqual([middle.reason, middle.reason]);
      expect(middle.reason?.scope.endsWith("middle")).toBe(true);
      expect(outer.cancelled).toBe(false);
      expect(outer.errors).toEqual([]);
    });
  });

  it("rule 9: catching the error of a task does not undo the failure", async () => {
    const done = withScope(async (scope) => {
      await spawn(scope, () => Promise.reject(first)).catch(() => undefined);
      return "value";
    });
    expect(await rejection(done)).toBe(first);
  });

  it("rule 9: a cancelled task is not a failure", async () => {
    const scope = createScope();
    const task = spawn(scope, untilCancelled);
    spawn(scope, () => undefined);
    task.cancel();
    await scope.join();
    expect(scope.cancelled).toBe(false);
    expect(scope.errors).toEqual([]);
  });

  it("rule 9: in a supervising scope a failure stays in the child and its descendants", async () => {
    const value = await withScope({ supervise: true }, async (scope) => {
      const sibling = spawn(scope, () => flush().then(() => "sibling"));
      const task = spawn(scope, (inner) => {
        spawn(inner, () => Promise.reject(first));
        return untilCancelled(inner);
      });
      expect(await rejection(task)).toBe(first);
      expect(scope.errors).toEqual([]);
      return sibling;
    });
    expect(value).toBe("sibling");
  });

  it("rule 9: a supervising scope fails if its own body or its own cleanup fails", async () => {
    expect(await rejection(withScope({ supervise: true }, () => Promise.reject(first)))).toBe(first);
    const cleanup = withScope({ supervise: true }, (scope) => {
      scope.defer(() => Promise.reject(second));
    });
    expect(await rejection(cleanup)).toBe(second);
  });

  it("rule 9: a supervising task keeps its children's failures, and its own failure goes to its parent", async () => {
    const scope = createScope();
    const task = spawn(
      scope,
      async (inner) => {
        await spawn(inner, () => Promise.reject(first)).catch(() => undefined);
        return "value";
      },
      { supervise: true },
    );
    expect(await task).toBe("value");
    spawn(scope, () => Promise.reject(second), { supervise: true });
    expect(await rejection(scope.join())).toBe(second);
    expect(scope.errors).toEqual([second]);
  });

  it("rule 10: a scope rejects with the first failure, and has the later ones in errors and suppressed", async () => {
    const gates = [deferred(), deferred(), deferred()] as const;
    const scope = createScope();
    for (const gate of gates) spawn(scope, () => gate.promise);
    const joined = rejection(scope.join());
    gates[1].reject(first);
    await flush();
    gates[2].reject(second);
    await flush();
    gates[0].reject(third);
    expect(await joined).toBe(first);
    expect(scope.errors).toEqual([first, second, third]);
    expect(suppressed(first)).toEqual([second, third]);
    expect(first).not.toHaveProperty("cause");
  });

  it("rule 10: a failing cleanup neither replaces the first failure nor keeps another from running", async () => {
    const log: string[] = [];
    const errors = { body: new Error("body"), a: new Error("a"), b: new Error("b") };
    const done = withScope((scope) => {
      scope.defer(() => log.push("last"));
      scope.defer(() => Promise.reject(errors.b));
      scope.defer(() => log.push("between"));
      scope.defer(() => {
        throw errors.a;
      });
      throw errors.body;
    });
    expect(await rejection(done)).toBe(errors.body);
    expect(log).toEqual(["between", "last"]);
    expect(suppressed(errors.body)).toEqual([errors.a, errors.b]);
  });

  it("rule 10: errors of users are passed on as they are: primitives, frozen objects, null", async () => {
    for (const error of ["text", 0, null, undefined, Object.freeze(new Error("frozen")), () => 1]) {
      expect(await rejection(withScope((scope) => void spawn(scope, () => Promise.reject(error))))).toBe(
        error,
      );
      expect(await rejection(withScope(() => Promise.reject(error)))).toBe(error);
    }
  });

  it("rule 11: the parent receives a failure when it is thrown, not after the task's children and defers", async () => {
    const log: string[] = [];
    const gate = deferred();
    const scope = createScope();
    scope.onCancel(() => log.push("parent cancelled"));
    const task = spawn(scope, (inner) => {
      inner.defer(() => gate.promise.then(() => log.push("defer")));
      spawn(inner, () => gate.promise.then(() => log.push("child")));
      throw first;
    });
    log.push("spawned");
    expect(scope.errors).toEqual([first]);
    expect(await outcomeOf(scope.join())).toBe("pending");
    expect(task.status).toBe("running");
    gate.resolve();
    expect(await rejection(scope.close())).toBe(first);
    expect(log).toEqual(["parent cancelled", "spawned", "child", "defer"]);
    expect(task.status).toBe("failed");
  });

  it("rule 11: the same error object is recorded once per scope", async () => {
    const scope = createScope();
    const gate = deferred();
    for (let index = 0; index < 3; index++) spawn(scope, () => gate.promise);
    scope.defer(() => Promise.reject(first));
    gate.reject(first);
    expect(await rejection(scope.join())).toBe(first);
    expect(scope.errors).toEqual([first]);
  });

  it("rule 10: scope.errors returns a new array each time", async () => {
    const scope = createScope();
    spawn(scope, () => Promise.reject(first));
    await rejection(scope.join());
    (scope.errors as unknown[]).push("intruder");
    expect(scope.errors).toEqual([first]);
  });
});

describe("the state of a scope", () => {
  it("changes from open to closing or cancelling, then to closed, and never back", async () => {
    const log: string[] = [];
    const gate = deferred();
    let scope!: Scope;
    const done = withScope((inner) => {
      scope = inner;
      log.push(inner.state);
      inner.defer(() => log.push(`defer ${inner.state}`));
      spawn(inner, async () => {
        await gate.promise;
        log.push(`child ${inner.state}`);
      });
    });
    log.push(scope.state);
    gate.resolve();
    await done;
    log.push(scope.state);
    scope.cancel();
    log.push(scope.state);
    expect(log).toEqual(["open", "closing", "child closing", "defer closing", "closed", "closed"]);
  });
});
