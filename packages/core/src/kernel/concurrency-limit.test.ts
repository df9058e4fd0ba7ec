import { describe, expect, it, vi } from "vitest";
import { deferred, flush, rejection, type Deferred } from "../../test/support/deferred.js";
import { createScope, spawn, withScope, type Scope, type Task } from "../index.js";

/** Tasks that log their beginning and end by a letter each, and the gates that end them. */
function queue(scope: Scope): {
  readonly log: string[];
  readonly add: (letter: string) => Task<void>;
  readonly end: (letter: string) => Promise<void>;
} {
  const log: string[] = [];
  const gates = new Map<string, Deferred<void>>();
  return {
    log,
    add: (letter) => {
      const gate = deferred();
      gates.set(letter, gate);
      return spawn(scope, async () => {
        log.push(`+${letter}`);
        await gate.promise;
        log.push(`-${letter}`);
      });
    },
    end: async (letter) => {
      gates.get(letter)?.resolve();
      await flush();
    },
  };
}

describe("concurrency", () => {
  it("runs the given number at once, and the others in spawn order as slots become free", async () => {
    const scope = createScope({ concurrency: 2 });
    const { log, add, end } = queue(scope);
    const tasks = ["a", "b", "c", "d"].map(add);
    expect(log).toEqual(["+a", "+b"]);
    expect(tasks.map(({ status }) => status)).toEqual(["running", "running", "queued", "queued"]);
    await end("b");
    expect(log).toEqual(["+a", "+b", "-b", "+c"]);
    await end("a");
    await end("c");
    await end("d");
    expect(log.slice(4)).toEqual(["-a", "+d", "-c", "-d"]);
    await scope.join();
  });

  it("a task keeps its slot until its own children and defers are done", async () => {
    const scope = createScope({ concurrency: 1 });
    const gates = [deferred(), deferred()] as const;
    const log: string[] = [];
    spawn(scope, (inner) => {
      inner.defer(() => gates[1].promise);
      spawn(inner, () => gates[0].promise);
    });
    spawn(scope, () => log.push("second"));
    await flush();
    gates[0].resolve();
    await flush();
    expect(log).toEqual([]);
    gates[1].resolve();
    await scope.join();
    expect(log).toEqual(["second"]);
  });

  it("a task that was cancelled in the queue leaves it at once, and the others keep their order", async () => {
    const scope = createScope({ concurrency: 1 });
    const { log, add, end } = queue(scope);
    const [, b, c] = ["a", "b", "c", "d"].map(add) as [Task<void>, Task<void>, Task<void>, Task<void>];
    b.cancel();
    expect(b.status).toBe("cancelled");
    await end("a");
    expect(log).toEqual(["+a", "-a", "+c"]);
    c.cancel();
    await end("c");
    await end("d");
    expect(log.slice(3)).toEqual(["-c", "+d", "-d"]);
    await scope.join();
  });

  it("a task that is cancelled just after it got a slot frees it for the next task", async () => {
    const scope = createScope({ concurrency: 1 });
    const log: string[] = [];
    const second = vi.fn<() => void>();
    spawn(scope, (inner) => inner.defer(() => Promise.resolve().then(() => log.push("first"))));
    const task = spawn(scope, second);
    spawn(scope, () => log.push("third"));
    scope.onCancel(() => log.push("cancelled"));
    while (log.length === 0) await Promise.resolve();
    task.cancel();
    await flush();
    expect(log).toEqual(["first", "third"]);
    expect(second.mock.calls.length + Number(task.status === "cancelled")).toBe(1);
    await scope.join();
  });

  it("a failure cancels the running tasks and the waiting tasks, whose workers are never called", async () => {
    const error = new Error("boom");
    const worker = vi.fn<() => void>();
    const gate = deferred();
    let queued: Task<void> | undefined;
    const done = withScope({ concurrency: 1 }, (scope) => {
      spawn(scope, () => gate.promise);
      queued = spawn(scope, worker);
    });
    gate.reject(error);
    expect(await rejection(done)).toBe(error);
    expect(queued?.status).toBe("cancelled");
    expect(worker).not.toHaveBeenCalled();
  });

  it("rule 16: child scopes do not count, nor do the tasks of a task", async () => {
    const scope = createScope({ concurrency: 1 });
    const log: string[] = [];
    const child = createScope(scope);
    spawn(scope, (inner) => {
      for (let index = 0; index < 3; index++) spawn(inner, () => log.push("grandchild"));
      for (let index = 0; index < 3; index++) spawn(child, () => log.push("child's"));
      return withScope(scope, () => log.push("body"));
    });
    await child.join();
    await scope.join();
    expect(log).toHaveLength(7);
  });

  it("a task with its own limit limits its children", async () => {
    const scope = createScope();
    const log: string[] = [];
    spawn(
      scope,
      (inner) => {
        for (const letter of ["a", "b"]) {
          spawn(inner, async () => {
            log.push(`+${letter}`);
            await flush();
            log.push(`-${letter}`);
          });
        }
      },
      { concurrency: 1 },
    );
    await scope.join();
    expect(log).toEqual(["+a", "-a", "+b", "-b"]);
  });

  it("Infinity is not a limit", async () => {
    const scope = createScope({ concurrency: Infinity });
    const { log, add } = queue(scope);
    for (let index = 0; index < 100; index++) add("x");
    expect(log).toHaveLength(100);
    scope.cancel();
  });

  it("a worker that ends at once frees its slot at once", async () => {
    const scope = createScope({ concurrency: 1 });
    const log: number[] = [];
    for (let index = 0; index < 5; index++) spawn(scope, () => log.push(index));
    expect(log).toEqual([0, 1, 2, 3, 4]);
    await scope.join();
  });

  it("thousands of queued tasks neither overflow the stack nor are scanned for each free slot", async () => {
    const scope = createScope({ concurrency: 1 });
    let ran = 0;
    const gate = deferred();
    spawn(scope, () => gate.promise);
    for (let index = 0; index < 20_000; index++) spawn(scope, () => void (ran += 1));
    gate.resolve();
    await scope.join();
    expect(ran).toBe(20_000);
  });
});

it("never starts a daemon that waits for a slot when the last task ends, whether the task is awaited or not", async () => {
  for (const isAwaited of [false, true]) {
    const started: string[] = [];
    const scope = createScope({ concurrency: 1 });
    const task = spawn(scope, async () => Promise.resolve("value"));
    if (isAwaited) void task.then(() => started.push("awaiting code"));
    const ended = scope.join();
    const daemon = spawn(scope, () => started.push("daemon"), { daemon: true });
    await ended.then(() => started.push("join"));
    expect(started).toEqual(isAwaited ? ["awaiting code", "join"] : ["join"]);
    expect(daemon.status).toBe("cancelled");
  }
});
