import { describe, expect, it, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection, thrown } from "../../test/support/deferred.js";
import {
  background,
  createScope,
  ScopeClosedError,
  spawn,
  withScope,
  type Scope,
  type Task,
} from "../index.js";

const error = new Error("boom");

const untilCancelled = (scope: Scope): Promise<never> =>
  new Promise((_, reject) => scope.onCancel((reason) => reject(reason)));

describe("spawn()", () => {
  it("rule 3: calls the worker synchronously, once, with its own scope", async () => {
    const log: unknown[] = [];
    const scope = createScope({ name: "parent" });
    const task = spawn(scope, function child(inner, ...rest: unknown[]) {
      log.push(inner.path, inner.state, rest.length, inner === scope);
      return 1;
    });
    log.push("after");
    expect(log).toEqual(["parent/child", "open", 0, false, "after"]);
    expect(await task).toBe(1);
    await scope.join();
  });

  it("rule 3: a synchronous throw is the task's failure, never spawn's", async () => {
    const scope = createScope();
    const task = spawn(scope, () => {
      throw error;
    });
    expect(task.status).toBe("failed");
    expect(scope.reason).toMatchObject({ kind: "failure", cause: error });
    expect(await rejection(task)).toBe(error);
    expect(await rejection(scope.join())).toBe(error);
  });

  it("rule 3: the stack of the worker contains the caller of spawn()", async () => {
    const scope = createScope();
    let stack = "";
    const callerOfSpawn = (): void => {
      spawn(scope, () => void (stack = new Error("here").stack ?? ""));
    };
    callerOfSpawn();
    expect(stack).toContain("callerOfSpawn");
    await scope.join();
  });

  it("accepts workers that return values, promises or thenables", async () => {
    const scope = createScope();
    // eslint-disable-next-line unicorn/no-thenable -- what is tested
    const thenable = { then: (resolve: (value: string) => void) => resolve("then") } as PromiseLike<string>;
    const tasks = [
      spawn(scope, () => "value"),
      spawn(scope, async () => "promise"),
      spawn(scope, () => thenable),
    ];
    expect(await Promise.all(tasks)).toEqual(["value", "promise", "then"]);
    await scope.join();
  });

  it("a worker whose thenable throws or settles twice settles once", async () => {
    const scope = createScope({ supervise: true });
    const throwing = {
      // eslint-disable-next-line unicorn/no-thenable -- what is tested
      get then(): never {
        throw error;
      },
    };
    const twice = {
      // eslint-disable-next-line unicorn/no-thenable -- what is tested
      then: (resolve: (value: number) => void, reject: (error: unknown) => void) => {
        resolve(1);
        reject(error);
        resolve(2);
        throw error;
      },
    } as PromiseLike<number>;
    expect(await rejection(spawn(scope, () => throwing))).toBe(error);
    expect(await spawn(scope, () => twice)).toBe(1);
    await scope.join();
  });

  it("the name is that of the option, otherwise that of the function, otherwise anonymous", async () => {
    const scope = createScope({ name: "root" });
    const named = Object.defineProperty(() => 1, "name", { value: 42 });
    const tasks = [
      spawn(scope, () => 1, { name: "given" }),
      spawn(scope, function worker() {}),
      spawn(scope, () => 1),
      spawn(scope, named),
      spawn(scope, () => 1, { name: "a/b" }),
    ];
    expect(tasks.map(({ name }) => name)).toEqual(["given", "worker", "anonymous", "anonymous", "a/b"]);
    expect(tasks[4]?.path).toBe("root/a/b");
    await scope.join();
  });

  describe("by the state of the scope", () => {
    it("rule 4: starts the worker in a closing scope with a live child", async () => {
      const gate = deferred();
      const log: string[] = [];
      const scope = createScope();
      spawn(scope, () => gate.promise);
      const joined = scope.join();
      expect(scope.state).toBe("closing");
      spawn(scope, async () => {
        await flush();
        log.push("second");
      });
      gate.resolve();
      await joined;
      expect(log).toEqual(["second"]);
    });

    it("rule 4: starts the worker in a closing scope whose body runs, or that has only a daemon", async () => {
      const log: string[] = [];
      await withScope(async (scope) => {
        await flush();
        spawn(scope, () => log.push("from the body"));
        spawn(
          scope,
          async (daemon) => {
            await untilCancelled(daemon).catch(() => spawn(scope, () => log.push("from a daemon's end")));
          },
          { daemon: true },
        );
      });
      expect(log).toEqual(["from the body", "from a daemon's end"]);
    });

    it("rule 4: a child's defer may still spawn in the parent", async () => {
      const log: string[] = [];
      await withScope((scope) => {
        spawn(scope, (child) => child.defer(() => spawn(scope, () => log.push("sibling"))));
      });
      expect(log).toEqual(["sibling"]);
    });

    for (const [name, cancel] of [
      ["cancel()", (scope: Scope) => scope.cancel()],
      ["a failure", (scope: Scope) => spawn(scope, () => Promise.reject(error)).catch(() => undefined)],
      [
        "close()",
        (scope: Scope) => (scope as { close?: () => Promise<void> }).close?.().catch(() => undefined),
      ],
    ] as const) {
      it(`rule 4: cancelling by ${name}: the worker is never called, the task is settled with the reason`, async () => {
        const scope = createScope();
        const gate = deferred();
        spawn(scope, () => gate.promise);
        void scope.join().catch(() => undefined);
        void cancel(scope);
        await flush();
        expect(scope.state).toBe("cancelling");
        const worker = vi.fn<() => void>();
        const task = spawn(scope, worker);
        expect(task.status).toBe("cancelled");
        expect(task.cancel()).toBe(false);
        expect(await rejection(task)).toBe(scope.reason);
        expect(await rejection(withScope(scope, worker))).toBe(scope.reason);
        const child = createScope(scope);
        expect([child.state, child.reason]).toEqual(["closed", scope.reason]);
        expect(worker).not.toHaveBeenCalled();
        gate.resolve();
        await scope.close().catch(() => undefined);
      });
    }

    it("rule 4: a child that starts cancelled is work that was cut short, unless it is a daemon", async () => {
      for (const daemon of [false, true]) {
        const scope = createScope();
        const gate = deferred();
        spawn(scope, () => gate.promise);
        const joined = scope.join();
        scope.cancel();
        spawn(scope, () => 1, { daemon });
        gate.resolve();
        expect(await outcomeOf(joined)).toBe(daemon ? "resolved" : "rejected");
      }
    });

    it("rule 4: starts cancelled in a scope that was cancelled and has ended, which does not change", async () => {
      const scope = createScope();
      scope.cancel();
      await flush();
      expect(scope.state).toBe("closed");
      const worker = vi.fn<() => void>();
      expect(await rejection(spawn(scope, worker))).toBe(scope.reason);
      expect(worker).not.toHaveBeenCalled();
      await scope.join();
    });

    it("rule 4: throws in a scope that has ended by close(), join() or the end of its body", async () => {
      const closed = createScope();
      await closed.close();
      const joined = createScope();
      await joined.join();
      let ended!: Scope;
      await withScope((scope) => void (ended = scope));
      let succeeded!: Scope;
      await spawn(background, (scope) => void (succeeded = scope));
      for (const scope of [closed, joined, ended, succeeded]) {
        const worker = vi.fn<() => void>();
        expect(thrown(() => spawn(scope, worker))).toBeInstanceOf(ScopeClosedError);
        expect(thrown(() => createScope(scope))).toBeInstanceOf(ScopeClosedError);
        expect(await rejection(withScope(scope, worker))).toBeInstanceOf(ScopeClosedError);
        expect(worker).not.toHaveBeenCalled();
      }
    });

    it("rule 4: a task that a listener of the cancellation spawns starts cancelled, in the whole subtree", async () => {
      const scope = createScope();
      const child = createScope(scope);
      const worker = vi.fn<() => void>();
      const tasks: Task<void>[] = [];
      scope.onCancel(() => tasks.push(spawn(scope, worker), spawn(child, worker)));
      scope.cancel();
      expect(tasks.map(({ status }) => status)).toEqual(["cancelled", "cancelled"]);
      for (const task of tasks) expect(await rejection(task)).toBe(scope.reason);
      expect(worker).not.toHaveBeenCalled();
    });
  });

  describe("daemons", () => {
    it("rule 7: are cancelled once the body and all other children are done, without cancelling the scope", async () => {
      const log: string[] = [];
      let seen!: Scope;
      const gate = deferred();
      const done = withScope((scope) => {
        seen = scope;
        spawn(
          scope,
          (inner) => untilCancelled(inner).catch((reason: { kind: string }) => log.push(reason.kind)),
          {
            daemon: true,
          },
        );
        spawn(scope, () => gate.promise.then(() => log.push("child")));
        return "value";
      });
      await flush();
      expect(log).toEqual([]);
      gate.resolve();
      expect(await done).toBe("value");
      expect(log).toEqual(["child", "closed"]);
      expect([seen.cancelled, seen.errors]).toEqual([false, []]);
    });

    it("rule 7: neither delay join() nor make it reject, even when the scope is cancelled", async () => {
      const scope = createScope();
      const daemon = spawn(scope, untilCancelled, { daemon: true });
      await scope.join();
      expect(daemon.status).toBe("cancelled");

      const cancelled = createScope();
      spawn(cancelled, untilCancelled, { daemon: true });
      const joined = cancelled.join();
      cancelled.cancel();
      await joined;
    });

    it("rule 7: are awaited, cleanup included", async () => {
      const gate = deferred();
      const scope = createScope();
      spawn(
        scope,
        (inner) => {
          inner.defer(() => gate.promise);
          return untilCancelled(inner);
        },
        { daemon: true },
      );
      const joined = scope.join();
      expect(await outcomeOf(joined)).toBe("pending");
      gate.resolve();
      await joined;
    });

    it("rule 7: a daemon that fails is a failure like any other task, also while it is being stopped", async () => {
      const scope = createScope();
      spawn(scope, untilCancelled).catch(() => undefined);
      spawn(scope, () => Promise.reject(error), { daemon: true });
      expect(await rejection(scope.join())).toBe(error);
      const other = createScope();
      spawn(other, (inner) => untilCancelled(inner).catch(() => Promise.reject(error)), { daemon: true });
      expect(await rejection(other.join())).toBe(error);
    });

    it("rule 7: a daemon that ends by itself does not end its scope", async () => {
      const gate = deferred();
      const scope = createScope();
      spawn(scope, () => "done", { daemon: true });
      spawn(scope, () => gate.promise);
      const joined = scope.join();
      expect(await outcomeOf(joined)).toBe("pending");
      gate.resolve();
      await joined;
    });

    it("rule 7: once the daemons were stopped, further daemons start cancelled, and other tasks do not", async () => {
      const log: string[] = [];
      await withScope((scope) => {
        spawn(
          scope,
          async (inner) => {
            await untilCancelled(inner).catch(() => undefined);
            const worker = vi.fn<() => void>();
            const late = spawn(scope, worker, { daemon: true });
            log.push(late.status, `${worker.mock.calls.length} calls`);
            spawn(scope, () => log.push("task"));
          },
          { daemon: true },
        );
      });
      expect(log).toEqual(["cancelled", "0 calls", "task"]);
    });
  });

  it("rule 1: a task waits for the tasks that it has spawned, and settles with its own value", async () => {
    const gate = deferred();
    const scope = createScope();
    const task = spawn(scope, (inner) => {
      spawn(inner, () => gate.promise);
      return "value";
    });
    expect(task.status).toBe("running");
    expect(await outcomeOf(task)).toBe("pending");
    gate.resolve();
    expect(await task).toBe("value");
    await scope.join();
  });

  it("rule 6: children that have ended do not change the order in which later ones are notified", async () => {
    const scope = createScope();
    const log: number[] = [];
    const gates = Array.from({ length: 5 }, () => deferred());
    for (const [index, gate] of gates.entries()) {
      spawn(scope, (inner) => {
        inner.onCancel(() => log.push(index));
        return gate.promise;
      });
    }
    for (const index of [0, 4, 2]) gates[index]?.resolve();
    await flush();
    spawn(scope, (inner) => {
      inner.onCancel(() => log.push(5));
      return untilCancelled(inner);
    });
    scope.cancel();
    expect(log).toEqual([1, 3, 5]);
    for (const gate of gates) gate.resolve();
    await scope.close();
  });
});
