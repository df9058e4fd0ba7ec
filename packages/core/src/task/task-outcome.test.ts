import { describe, expect, it } from "vitest";
import { deferred, flush, rejection, type Deferred } from "../../test/support/deferred.js";
import { createScope, spawn, suppressed, withScope, type Scope, type Task } from "../index.js";

/**
 * The outcome of a task must not depend on the time at which it is awaited: each test awaits it at all these moments.
 */
type Ask = (task: Task<unknown>) => void;

class Asked {
  readonly answers: PromiseSettledResult<unknown>[] = [];
  readonly #pending: Promise<void>[] = [];

  readonly ask: Ask = (task) => {
    const index = this.#pending.length;
    this.#pending.push(
      task.then(
        (value) => void (this.answers[index] = { status: "fulfilled", value }),
        (reason: unknown) => void (this.answers[index] = { status: "rejected", reason }),
      ),
    );
  };

  async all(): Promise<readonly PromiseSettledResult<unknown>[]> {
    await Promise.all(this.#pending);
    return this.answers;
  }
}

describe("the outcome of a task", () => {
  it("is its value, whether it is awaited before, during or after its end", async () => {
    const scope = createScope();
    const asked = new Asked();
    let letChildGo!: () => void;
    const child = new Promise<void>((resolve) => (letChildGo = resolve));
    const task: Task<string> = spawn(scope, async (own) => {
      await Promise.resolve();
      spawn(own, () => child);
      own.defer(() => asked.ask(task)); // the body has ended, the scope has not
      return "value";
    });
    asked.ask(task);
    await Promise.resolve();
    asked.ask(task);
    setTimeout(() => {
      asked.ask(task);
      letChildGo();
    });
    await scope.join();
    asked.ask(task);
    expect(await asked.all()).toEqual(
      Array.from({ length: 5 }, () => ({ status: "fulfilled", value: "value" })),
    );
  });

  it("is delivered in the order of the requests, before, while and after it ends", async () => {
    const log: number[] = [];
    const scope = createScope();
    const task: Task<void> = spawn(scope, async (own) => {
      await Promise.resolve();
      own.defer(() => Promise.resolve());
      own.defer(() => void task.then(() => log.push(2)));
    });
    void task.then(() => log.push(1));
    await scope.join();
    void task.then(() => log.push(3));
    await flush();
    expect(log).toEqual([1, 2, 3]);
  });

  it("reaches the code that awaits it before the outcome of the scope that ends with it, however the task ends", async () => {
    const failure = new Error("failed");
    const child = async (hops: number): Promise<void> => {
      for (let hop = 0; hop < hops; hop++) await Promise.resolve();
    };
    const endings: Record<string, (own: Scope, root: Scope) => Promise<unknown>> = {
      returns: async () => Promise.resolve("value"),
      throws: async () => Promise.reject(failure),
      "is cancelled": async (own, root) => {
        await Promise.resolve();
        root.cancel();
        throw own.reason;
      },
    };
    // A child that ends with the body, within its turn of the microtask queue, or later; a cleanup that does.
    for (let hops = 0; hops < 6; hops++)
      endings[`has a child of ${hops} microtasks`] = async (own) => void spawn(own, () => child(hops));
    endings["has a cleanup"] = async (own) => own.defer(() => Promise.resolve());
    for (const [name, ending] of Object.entries(endings)) {
      for (const supervise of [false, true]) {
        const log: string[] = [];
        const scope = createScope({ supervise });
        const task = spawn(scope, (own) => ending(own, scope));
        const note = (): unknown => log.push("task");
        void task.then(note, note);
        const ended = (): unknown => log.push("scope");
        await scope.join().then(ended, ended);
        expect([name, ...log]).toEqual([name, "task", "scope"]);
      }
    }
  });

  it("is one for all who await it, in their order, whenever they ask while its children outlast its worker", async () => {
    const log: number[] = [];
    const scope = createScope();
    const gate = deferred();
    const task: Task<string> = spawn(scope, async (own) => {
      spawn(own, () => gate.promise);
      await Promise.resolve();
      return "value";
    });
    const ask = (index: number): void => void task.then(() => log.push(index));
    for (let index = 0; index < 8; index++) {
      ask(index);
      await Promise.resolve();
    }
    gate.resolve();
    for (let index = 8; index < 16; index++) {
      ask(index);
      await Promise.resolve();
    }
    await scope.join();
    expect(log).toEqual(Array.from({ length: 16 }, (_, index) => index));
  });

  it("comes first to those who asked first, also if others ask when the task has just settled, however it ends", async () => {
    const failure = new Error("failed");
    const endings: Record<string, (child: Deferred<void>, own: Scope) => void> = {
      returns: (child) => child.resolve(),
      fails: (child) => child.reject(failure),
      "is cut short": (child, own) => {
        own.cancel();
        child.reject(own.reason);
      },
    };
    for (const [name, ending] of Object.entries(endings)) {
      for (let hops = 0; hops < 4; hops++) {
        const log: string[] = [];
        const scope = createScope({ supervise: true, concurrency: 1 });
        const [body, child, late] = [deferred(), deferred(), deferred()];
        let inner: Scope | undefined;
        const task = spawn(scope, (own) => {
          inner = own;
          spawn(own, () => child.promise);
          return body.promise;
        });
        const ask = (who: string): void => {
          const note = (): unknown => log.push(who);
          void task.then(note, note);
        };
        ask("first");
        const next = spawn(scope, () => ask("next task"));
        // In this order: the worker ends, its child does, and then other code asks.
        body.resolve();
        ending(child, inner as unknown as Scope);
        void late.promise.then(async () => {
          for (let hop = 0; hop < hops; hop++) await Promise.resolve();
          ask("late");
        });
        late.resolve();
        await Promise.allSettled([task, next, scope.join()]);
        await flush();
        expect([name, hops, log[0], log.toSorted()]).toEqual([
          name,
          hops,
          "first",
          ["first", "late", "next task"],
        ]);
      }
    }
  });

  it("rejects no promise that nothing handles, if the task fails before or after it is first awaited", async () => {
    const failure = new Error("failed");
    for (let hops = 0; hops < 6; hops++) {
      const scope = createScope({ supervise: true, onError: () => undefined });
      const task = spawn(scope, async (own) => {
        spawn(own, () => Promise.resolve());
        await Promise.resolve();
        throw failure;
      });
      for (let hop = 0; hop < hops; hop++) await Promise.resolve();
      expect(await rejection(task)).toBe(failure);
      await scope.close();
    }
  });

  it("is its first failure, when one comes after its body has returned", async () => {
    const scope = createScope({ supervise: true });
    const asked = new Asked();
    const failures = [new Error("first"), new Error("second")] as const;
    const task = spawn(scope, async (own) => {
      own.defer(() => {
        asked.ask(task);
        throw failures[1];
      });
      own.defer(() => {
        throw failures[0];
      });
      return Promise.resolve("value");
    });
    asked.ask(task);
    await scope.close();
    asked.ask(task);
    const answers = await asked.all();
    expect(answers).toHaveLength(3);
    for (const answer of answers) expect(answer).toHaveProperty("reason", failures[0]);
    expect(suppressed(failures[0])).toEqual([failures[1]]);
  });

  it("is the reason, when a child is cut short after its body has returned", async () => {
    const scope = createScope();
    const asked = new Asked();
    const task = spawn(scope, async (own) => {
      spawn(own, (child) => new Promise((_, reject) => child.onCancel(reject)));
      return Promise.resolve("value");
    });
    asked.ask(task);
    await new Promise(setImmediate);
    scope.cancel();
    asked.ask(task);
    await scope.close();
    asked.ask(task);
    const { reason } = scope;
    expect(await asked.all()).toEqual(Array.from({ length: 3 }, () => ({ status: "rejected", reason })));
  });

  it("is its own deadline, if it is awaited while its listeners run", async () => {
    const scope = createScope({ supervise: true });
    const asked = new Asked();
    const task: Task<void> = spawn(
      scope,
      async function late(own: Scope) {
        await new Promise((resolve) => own.onCancel(resolve));
        const error = new Error("cut");
        // bough reads the cause while the body ends.
        Object.defineProperty(error, "cause", { get: () => (asked.ask(task), own.reason) });
        throw error;
      },
      { timeout: 30 },
    );
    asked.ask(task);
    const reason = await rejection(task);
    expect(reason).toBeInstanceOf(Error);
    expect(await asked.all()).toEqual(Array.from({ length: 2 }, () => ({ status: "rejected", reason })));
    expect(scope.errors).toEqual([]);
  });

  it("causes no unhandled rejection when it is not awaited", async () => {
    const unhandled: unknown[] = [];
    const listener = (error: unknown): void => void unhandled.push(error);
    process.on("unhandledRejection", listener);
    const scope = createScope();
    const failure = new Error("failure");
    spawn(scope, async () => {
      await Promise.resolve();
      throw failure;
    });
    expect(await rejection(scope.join())).toBe(failure);
    await new Promise(setImmediate);
    process.off("unhandledRejection", listener);
    expect(unhandled).toEqual([]);
  });
});

describe("the outcome of withScope", () => {
  it("is its value, whether its body is async, synchronous, or ends before a child", async () => {
    expect(await withScope(async () => Promise.resolve(1))).toBe(1);
    expect(await withScope(() => 2)).toBe(2);
    const outlived = withScope(async (scope) => {
      spawn(scope, () => new Promise(setImmediate));
      return Promise.resolve(3);
    });
    expect(await outlived).toBe(3);
    expect(await withScope((scope) => (spawn(scope, () => new Promise(setImmediate)), 4))).toBe(4);
  });

  it("is a native promise that can't be distinguished from another one", async () => {
    const promise = withScope(async () => Promise.resolve(1));
    expect(Object.getPrototypeOf(promise)).toBe(Promise.prototype);
    expect(Reflect.ownKeys(promise)).toEqual([]);
    await promise;
  });
});
