import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection } from "../../../test/support/deferred.js";
import { useFakeTime } from "../../../test/support/fake-time.js";
import { turnsWhile } from "../../../test/support/turns.js";
import {
  createScope,
  DeadlineExceededError,
  shield,
  sleep,
  spawn,
  start,
  supervise,
  withScope,
  type Scope,
  type Started,
  type SuperviseOptions,
} from "../../index.js";

const unhandled = useFakeTime();

beforeEach(() => {
  vi.spyOn(Math, "random").mockReturnValue(1);
});

afterEach(() => {
  vi.restoreAllMocks();
});

const failure = new Error("failure");
const never = (own: Scope): Promise<unknown> => sleep(own, 1_000_000);

describe("start() with options", () => {
  it("names the task", async () => {
    await withScope({ name: "root" }, async (scope) => {
      const path = start(scope, (own, started: Started<string>) => started(own.path), { name: "server" });
      expect(await path).toBe("root/server/start");
    });
  });

  it("rule 22: rejects with the deadline if the worker has not started in time; the scope continues", async () => {
    const scope = createScope({ name: "root" });
    let seen: unknown;
    const ready = rejection(
      start(
        scope,
        function server(own) {
          own.onCancel((reason) => (seen = reason));
          return never(own);
        },
        { timeout: 100 },
      ),
    );
    await vi.advanceTimersByTimeAsync(100);
    const reason = await ready;
    expect(reason).toBe(seen);
    expect(reason).toBeInstanceOf(DeadlineExceededError);
    expect(reason).toMatchObject({ scope: "root/server/start", timeout: 100 });
    expect([scope.state, scope.errors]).toEqual(["open", []]);
    await scope.join();
  });

  it("waits for the cleanup of a worker that has not started in time, and ignores a late started()", async () => {
    const scope = createScope();
    const gate = deferred();
    const ready = start(
      scope,
      async (own, started) => {
        await never(own).catch(() => undefined);
        started();
        await gate.promise;
      },
      { timeout: 100 },
    );
    await vi.advanceTimersByTimeAsync(100);
    expect(await outcomeOf(ready)).toBe("pending");
    gate.resolve();
    expect(await rejection(ready)).toMatchObject({ kind: "deadline", timeout: 100 });
    await scope.join();
  });

  it("rejects with a failure in the cleanup of a worker that has not started in time", async () => {
    const scope = createScope();
    const ready = rejection(
      start(scope, (own) => never(own).catch(() => Promise.reject(failure)), { timeout: 100 }),
    );
    await vi.advanceTimersByTimeAsync(100);
    expect(await ready).toBe(failure);
    expect(scope.errors).toEqual([]);
  });

  it("rule 22: does not limit a worker that has started, or work that it had begun before", async () => {
    const scope = createScope();
    const gate = deferred();
    let child: Promise<unknown> | undefined;
    const ready = start(
      scope,
      async (own, started) => {
        child = rejection(withScope(own, { timeout: 150 }, never));
        await sleep(own, 50);
        started();
        await gate.promise;
        own.throwIfCancelled();
      },
      { timeout: 100 },
    );
    await vi.advanceTimersByTimeAsync(50);
    await ready;
    expect(vi.getTimerCount()).toBe(2); // the deadline of the child, and its sleep
    await vi.advanceTimersByTimeAsync(100);
    expect(await child).toMatchObject({ kind: "deadline", timeout: 150 }); // its own deadline still counts
    gate.resolve();
    await scope.join();
    expect(scope.errors).toEqual([]);
  });

  it("rule 15: a worker that starts in the same tick as its time is up has started", async () => {
    const scope = createScope();
    const ready = start(
      scope,
      async (own, started: Started<string>) => {
        await sleep(own, 100); // its timer was set before that of the limit
        started("in time");
      },
      { timeout: 100 },
    );
    vi.advanceTimersByTime(99);
    await flush();
    vi.advanceTimersByTime(1);
    expect(await rejection(ready)).toMatchObject({ kind: "deadline" }); // the worker goes on in a later microtask
    const atOnce = start(
      scope,
      (_, started: Started<string>) =>
        new Promise<void>((resolve) => {
          setTimeout(() => {
            started("in time");
            resolve();
          }, 100);
        }),
      { timeout: 100 },
    );
    await vi.advanceTimersByTimeAsync(100);
    expect(await atOnce).toBe("in time");
    await scope.join();
  });

  it("rule 17: starts nothing with a timeout of 0", async () => {
    const scope = createScope({ name: "root" });
    const worker = vi.fn<() => void>();
    const error = await rejection(start(scope, worker, { name: "server", timeout: 0 }));
    expect(error).toMatchObject({ kind: "deadline", scope: "root/server/start", timeout: 0 });
    expect(worker).not.toHaveBeenCalled();
    scope.cancel();
    expect(await rejection(start(scope, worker, { timeout: 0 }))).toBe(scope.reason);
  });

  it("rule 16: counts the time in the queue, and takes the worker out of it", async () => {
    const scope = createScope({ name: "root", concurrency: 1 });
    const gate = deferred();
    spawn(scope, () => gate.promise);
    const worker = vi.fn<() => void>();
    const ready = rejection(start(scope, worker, { name: "server", timeout: 100 }));
    await vi.advanceTimersByTimeAsync(100);
    expect(await ready).toMatchObject({ kind: "deadline", scope: "root/server/start" });
    gate.resolve();
    await scope.join();
    expect(worker).not.toHaveBeenCalled();
  });

  it("rejects with the reason of a scope that is cancelled first, also in the queue", async () => {
    for (const concurrency of [1, 2]) {
      const scope = createScope({ concurrency });
      spawn(scope, never);
      const ready = rejection(start(scope, never, { timeout: 100 }));
      scope.cancel();
      expect(await ready).toBe(scope.reason);
      await scope.close();
      expect(vi.getTimerCount()).toBe(0);
    }
  });

  it("rule 11: a timeout that is not awaited is an unhandled rejection", async () => {
    const scope = createScope();
    void start(scope, never, { timeout: 100 });
    await vi.advanceTimersByTimeAsync(100);
    await flush();
    expect(unhandled.splice(0)).toEqual([expect.objectContaining({ kind: "deadline", timeout: 100 })]);
  });

  it("rule 13: a loop whose time is up lets other code run", async () => {
    const scope = createScope();
    expect(await turnsWhile(() => start(scope, never, { timeout: 0 }))).toBe(3);
  });
});

describe("supervise() with options", () => {
  it("names the task, and not the runs", async () => {
    const scope = createScope({ name: "root" });
    const paths: string[] = [];
    await supervise(scope, (own) => void paths.push(own.path), { name: "poller" });
    expect(paths).toEqual(["root/poller/#1"]);
  });

  it("reads options that are inherited, as from a prototype with defaults", async () => {
    class Defaults {
      get minDelay(): number {
        return 0;
      }
      onRestart(error: unknown): void {
        restarts.push(error);
      }
    }
    const restarts: unknown[] = [];
    let calls = 0;
    const task = supervise(
      createScope(),
      () => {
        if (calls++ === 0) throw failure;
        return "done";
      },
      Object.create(new Defaults()) as SuperviseOptions,
    );
    await vi.advanceTimersByTimeAsync(1);
    expect([await task, restarts]).toEqual(["done", [failure]]);
  });

  it("rule 16: its task fails when its time is up, in a run and in a delay", async () => {
    const workers = [never, (): Promise<never> => Promise.reject(failure)];
    for (const worker of workers) {
      const scope = createScope({ supervise: true });
      const task = supervise(scope, worker, { timeout: 100, minDelay: 1_000 });
      const outcome = rejection(task);
      await vi.advanceTimersByTimeAsync(100);
      expect(await outcome).toMatchObject({ kind: "deadline", timeout: 100 });
      expect(task.status).toBe("failed");
      await scope.close();
    }
    const scope = createScope();
    void supervise(scope, never, { timeout: 100 });
    const joined = rejection(scope.join());
    await vi.advanceTimersByTimeAsync(100);
    expect(await joined).toMatchObject({ kind: "deadline", timeout: 100 });
  });

  it("rule 15: keeps the value of a run that ends although the time is up", async () => {
    const scope = createScope();
    const task = supervise(scope, (own) => never(own).then(undefined, () => "value"), { timeout: 100 });
    await vi.advanceTimersByTimeAsync(100);
    expect(await task).toBe("value");
  });

  it("rule 17: starts nothing with a timeout of 0", async () => {
    const scope = createScope({ supervise: true });
    const worker = vi.fn<() => void>();
    const task = supervise(scope, worker, { timeout: 0 });
    expect(await rejection(task)).toBeInstanceOf(DeadlineExceededError);
    expect(worker).not.toHaveBeenCalled();
    await scope.close();
  });

  it("rule 7: a daemon is stopped when all other work has ended, in a run and in a delay", async () => {
    for (const worker of [never, (): Promise<never> => Promise.reject(failure)]) {
      let task: ReturnType<typeof supervise> | undefined;
      await withScope(async (scope) => {
        task = supervise(scope, worker, { daemon: true, minDelay: 1_000 });
        await flush();
      });
      expect(task?.status).toBe("cancelled");
      expect(await rejection(task as PromiseLike<unknown>)).toMatchObject({ kind: "closed" });
    }
  });

  it("is not a daemon by default", async () => {
    const scope = createScope();
    void supervise(scope, never);
    expect(await outcomeOf(scope.join())).toBe("pending");
    await scope.close();
  });
});

describe("shield() with options", () => {
  it("has the name of its worker, or that of the option", async () => {
    const scope = createScope({ name: "root" });
    const paths: string[] = [];
    await shield(scope, { timeout: 1 }, function logOut(own) {
      paths.push(own.path);
    });
    await shield(scope, { timeout: 1, name: "log out" }, (own) => void paths.push(own.path));
    expect(paths).toEqual(["root/logOut", "root/log out"]);
  });
});
