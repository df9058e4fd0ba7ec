import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { createSemaphore, type Semaphore } from "../flow/sync/semaphore.js";
import { createChannel } from "../flow/sync/channel.js";
import { supervise } from "../flow/lifetime/supervise.js";
import { allSettled } from "../flow/combinators/all-settled.js";
import { retry } from "../flow/time/retry.js";
import { sleep } from "../flow/time/sleep.js";
import type { Scope } from "../kernel/scope.js";
import { createScope } from "../task/create-scope.js";
import { spawn } from "../task/spawn.js";
import { createWatcher, flatten, setTracing, snapshot, type Look, type WatcherOptions } from "./index.js";
import { openScope } from "../../test/support/open-scope.js";

const never = (): Promise<never> => new Promise(() => {});

const lookAt = (scope: Scope): Look => ({ at: Date.now(), nodes: flatten(snapshot(scope)) });

/** The titles of what is wrong in a scope, looked at `times` times, with `step` before each look. */
async function titles(
  scope: Scope,
  { times = 2, step = () => {}, ...options }: WatcherOptions & { times?: number; step?: () => unknown } = {},
): Promise<string[]> {
  const watcher = createWatcher(options);
  let found: readonly { title: string }[] = [];
  for (let index = 0; index < times; index++) {
    await step();
    found = watcher.add(lookAt(scope));
  }
  return found.map(({ title }) => title);
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("stuck: a scope was cancelled and does not end", () => {
  it("names the task that blocks the tree, where it was started, and where it was cancelled", async () => {
    const before = setTracing(true);
    onTestFinished(() => void setTracing(before));
    const server = openScope("server");
    spawn(server, (task) => spawn(task, never, { name: "export" }), { name: "job" });
    server.cancel("enough");
    await vi.advanceTimersByTimeAsync(6_000);
    const watcher = createWatcher();
    watcher.add(lookAt(server));
    const [warning, ...others] = watcher.add(lookAt(server));
    expect(others).toEqual([]);
    expect(warning).toMatchObject({
      code: "stuck",
      title: 'task "export" was cancelled 6 s ago and still runs',
    });
    expect(warning?.detail.join("\n")).toMatch(
      /started at inspect\/warning-rules\.test\.ts:\d+\ncancelled: explicit, at "server", by \S+warning-rules\.test\.ts\S*\nit reads no signal/,
    );
  });

  it("is silent while a cleanup is within its grace period", async () => {
    const server = createScope({ name: "server", grace: 30_000, onOrphan: "ignore" });
    server.defer(never);
    void server.close().catch(() => {});
    await vi.advanceTimersByTimeAsync(20_000);
    expect(await titles(server)).toEqual([]);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(await titles(server)).toEqual(['scope "server" was cancelled 40 s ago and still runs']);
  });
});

describe("overdue: a scope is past its deadline and does not end", () => {
  it("says how late the scope is", async () => {
    const server = openScope("server");
    spawn(server, never, { name: "report", timeout: 1_000 }).catch(() => {});
    await vi.advanceTimersByTimeAsync(9_000);
    expect(await titles(server)).toEqual(['task "report" is past its deadline by 8 s and still runs']);
  });

  it("is silent about a scope that ends at its deadline", async () => {
    const server = openScope("server");
    spawn(server, (task) => sleep(task, 60_000), { name: "report", timeout: 1_000 }).catch(() => {});
    await vi.advanceTimersByTimeAsync(9_000);
    expect(await titles(server)).toEqual([]);
  });
});

describe("deaf: a task would not notice that it is cancelled", () => {
  it("counts tasks that were started alike", async () => {
    const server = openScope("server");
    for (let index = 0; index < 3; index++) spawn(server, never, { name: "poll" });
    await vi.advanceTimersByTimeAsync(11_000);
    expect(await titles(server)).toEqual(['3 × "poll" would not notice a cancellation']);
  });

  it.each<[string, (scope: Scope) => unknown]>([
    [
      "reads its signal",
      (scope) => new Promise((resolve) => scope.signal.addEventListener("abort", resolve)),
    ],
    ["has a callback", (scope) => new Promise<void>((resolve) => void scope.onCancel(() => resolve()))],
    ["sleeps", (scope) => sleep(scope, 60_000)],
    ["looks now and then", (scope) => (scope.throwIfCancelled(), never())],
    ["waits for a child", (scope) => spawn(scope, (task) => sleep(task, 60_000))],
  ])("is silent about one that %s", async (_, worker) => {
    const server = openScope("server");
    spawn(server, worker).catch(() => {});
    await vi.advanceTimersByTimeAsync(11_000);
    expect(await titles(server)).toEqual([]);
  });

  it("is silent about a task that has just started", async () => {
    const server = openScope("server");
    spawn(server, never);
    expect(await titles(server)).toEqual([]);
  });
});

describe("unclosed: many handles with nothing in them", () => {
  it("counts the handles that were created at the same place", async () => {
    const server = openScope("server");
    const kept = Array.from({ length: 12 }, () => createScope(server, { name: "cache", onOrphan: "ignore" }));
    await vi.advanceTimersByTimeAsync(61_000);
    expect(await titles(server)).toEqual(['12 handles of "cache" are open, and nothing runs in them']);
    expect(kept).toHaveLength(12);
  });

  it("is silent about handles with running work, and about a few handles", async () => {
    const server = openScope("server");
    const kept = Array.from({ length: 12 }, () => createScope(server, { name: "cache", onOrphan: "ignore" }));
    for (const handle of kept) spawn(handle, (task) => sleep(task, 600_000));
    const few = Array.from({ length: 3 }, () => createScope(server, { name: "pool", onOrphan: "ignore" }));
    await vi.advanceTimersByTimeAsync(61_000);
    expect(await titles(server)).toEqual([]);
    expect(few).toHaveLength(3);
  });
});

describe("blocked: the event loop does not turn", () => {
  const looks = (extra: Partial<Look>): string[] => {
    const server = openScope("server");
    spawn(server, never, { name: "render" });
    const watcher = createWatcher();
    watcher.add({ ...lookAt(server), ...extra });
    return watcher.add({ ...lookAt(server), ...extra }).flatMap(({ title, detail }) => [title, ...detail]);
  };

  it("says how late it was, and which task may be the cause", () => {
    expect(looks({ loopDelay: { p50: 1, p99: 20, max: 450 } })).toEqual([
      "the event loop was held up for 450 ms",
      'perhaps by task "render"',
    ]);
  });

  it("names the function if a debugger has found it", () => {
    expect(looks({ blockedIn: "spin (app.js:12)" })[0]).toBe("the event loop is blocked in spin (app.js:12)");
  });

  it("is reported if two looks find it, although other tasks run in the second", () => {
    const server = openScope("server");
    const watcher = createWatcher();
    const late = { loopDelay: { p50: 1, p99: 20, max: 450 } };
    const first = spawn(server, never, { name: "first" });
    watcher.add({ ...lookAt(server), ...late });
    first.cancel();
    spawn(server, never, { name: "second" });
    expect(watcher.add({ ...lookAt(server), ...late }).map(({ code }) => code)).toEqual(["blocked"]);
  });

  it("is silent about a busy process that gets along", () => {
    expect(looks({ loopDelay: { p50: 5, p99: 40, max: 90 } })).toEqual([]);
  });
});

describe("queue: more and more tasks wait for a slot", () => {
  const grow = async (counts: readonly number[]): Promise<string[]> => {
    const server = openScope("server");
    const pool = createScope(server, { name: "pool", concurrency: 2, onOrphan: "ignore" });
    const more = [...counts];
    const step = (): void => {
      for (let index = more.shift() ?? 0; index > 0; index--)
        spawn(pool, (task) => sleep(task, 1e6)).catch(() => {});
    };
    return titles(server, { times: counts.length, step });
  };

  it("if it has grown five times in a row", async () => {
    expect(await grow([3, 1, 1, 1, 1, 1, 1])).toEqual(['the queue of scope "pool" only grows: 7 tasks wait']);
  });

  it("is silent if the number does not grow between two looks", async () => {
    expect(await grow([3, 1, 1, 1, 0, 1, 1])).toEqual([]);
  });
});

describe("failures: a worker fails again and again, or tasks of a supervising scope do", () => {
  const broken = (): never => {
    throw new TypeError("secret");
  };
  const often = { minDelay: 1_000, maxDelay: 1_000, maxRestarts: Infinity };

  it("names the supervised task, how often it was restarted, and the last error without its message", async () => {
    const server = openScope("server");
    supervise(server, broken, { ...often, name: "poller" }).catch(() => {});
    await vi.advanceTimersByTimeAsync(3_500);
    const watcher = createWatcher();
    watcher.add(lookAt(server));
    const [warning, ...others] = watcher.add(lookAt(server));
    expect(others).toEqual([]);
    expect(warning).toMatchObject({ code: "failures", detail: ["the last error: TypeError"] });
    expect(warning?.title).toMatch(/^task "poller" was restarted \d times, \d in the last minute$/);
  });

  it("names the work that is retried", async () => {
    const server = openScope("server");
    retry(server, broken, { attempts: 100, minDelay: 1_000, maxDelay: 1_000 }).catch(() => {});
    await vi.advanceTimersByTimeAsync(3_500);
    expect(await titles(server)).toEqual([
      expect.stringMatching(/^scope "retry" was restarted \d times, \d in the last minute$/),
    ]);
  });

  it("names the supervising scope whose tasks fail", async () => {
    const server = openScope("server");
    const pool = createScope(server, {
      name: "pool",
      supervise: true,
      onError: () => {},
      onOrphan: "ignore",
    });
    for (let index = 0; index < 4; index++) spawn(pool, broken);
    await vi.advanceTimersByTimeAsync(1);
    expect(await titles(server)).toEqual([
      'scope "pool" has kept 4 failures of its tasks to itself, 4 in the last minute',
    ]);
  });

  it("is silent about one restart, and about many that are over", async () => {
    const server = openScope("server");
    let runs = 0;
    const recovers = (failures: number) => (own: Scope) => {
      if (runs++ < failures) throw new TypeError("secret");
      return sleep(own, 1e6);
    };
    supervise(server, recovers(2), often).catch(() => {});
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await titles(server)).toEqual([]);
    runs = 0;
    supervise(server, recovers(5), often).catch(() => {});
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await titles(server)).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await titles(server)).toEqual([]);
  });

  it("is silent about failures that a caller has asked for", async () => {
    const server = openScope("server");
    spawn(server, async (own) => {
      await allSettled(own, [broken, broken, broken, broken, (inner: Scope) => sleep(inner, 1e6)]);
    }).catch(() => {});
    await vi.advanceTimersByTimeAsync(1);
    expect(await titles(server)).toEqual([]);
  });

  it("is silent if the option silence contains it", async () => {
    const server = openScope("server");
    supervise(server, broken, often).catch(() => {});
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await titles(server, { silence: ["failures"] })).toEqual([]);
  });
});

describe("deadlock: tasks wait for each other's permits", () => {
  /** Starts two tasks, each of which acquires a permit of its own semaphore first, and then one of the other's. */
  async function cross(server: Scope, one: Semaphore, other: Semaphore): Promise<void> {
    const take = (first: Semaphore, second: Semaphore) => async (task: Scope) => {
      task.use(await first.acquire(task));
      await Promise.resolve();
      task.use(await second.acquire(task));
    };
    spawn(server, take(one, other), { name: "left" }).catch(() => {});
    spawn(server, take(other, one), { name: "right" }).catch(() => {});
    await vi.advanceTimersByTimeAsync(1);
  }

  it("names the cycle", async () => {
    const server = openScope("server");
    await cross(server, createSemaphore(1), createSemaphore(1));
    const watcher = createWatcher();
    watcher.add(lookAt(server));
    const [warning] = watcher.add(lookAt(server));
    expect(warning).toMatchObject({ code: "deadlock", title: "2 scopes wait for each other's permits" });
    expect(warning?.detail).toEqual(['"left" waits for "right"', '"right" waits for "left"']);
  });

  it("finds a scope that holds the permit for which its child waits", async () => {
    const server = openScope("server");
    const permits = createSemaphore(1);
    spawn(server, async function parent(task) {
      task.use(await permits.acquire(task));
      spawn(task, async function child(own) {
        own.use(await permits.acquire(own));
      });
    }).catch(() => {});
    await vi.advanceTimersByTimeAsync(1);
    expect(await titles(server)).toEqual(["2 scopes wait for each other's permits"]);
  });

  it("is silent while one holder can continue", async () => {
    const server = openScope("server");
    const other = createSemaphore(2);
    await other.acquire(server); // by somebody who may release it at any time
    await cross(server, createSemaphore(1), other);
    expect(await titles(server)).toEqual([]);
  });

  it("is silent while a child of a holder can continue, since it may release the permit", async () => {
    const server = openScope("server");
    const permits = createSemaphore(1);
    spawn(server, async function parent(task) {
      const permit = await permits.acquire(task);
      spawn(task, async function child(own) {
        await sleep(own, 60_000);
        permit[Symbol.dispose]();
      });
      await permits.acquire(task);
    }).catch(() => {});
    await vi.advanceTimersByTimeAsync(1);
    expect(await titles(server)).toEqual([]);
  });

  it("is silent where not all holders are known", async () => {
    const server = openScope("server");
    const permits = createSemaphore(20);
    spawn(server, async (task) => {
      await permits.acquire(task);
      await sleep(task, 60_000); // goes on, and is the first of the holders
    }).catch(() => {});
    await vi.advanceTimersByTimeAsync(1);
    for (let index = 0; index < 19; index++)
      spawn(server, async (task) => {
        task.use(await permits.acquire(task));
        await permits.acquire(task);
      }).catch(() => {});
    await vi.advanceTimersByTimeAsync(1);
    expect(await titles(server)).toEqual([]);
  });

  it("is silent about consumers that wait for values from outside", async () => {
    const server = openScope("server");
    const jobs = createChannel<number>();
    for (let index = 0; index < 4; index++) spawn(server, (task) => jobs.receive(task)).catch(() => {});
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await titles(server)).toEqual([]);
  });
});

describe("growth: tasks become more and more", () => {
  const growing = (counts: readonly number[]): Promise<string[]> => {
    const server = openScope("server");
    const more = [...counts];
    const step = (): void => {
      for (let index = more.shift() ?? 0; index > 0; index--)
        spawn(server, (task) => sleep(task, 1e6), { name: "tail" }).catch(() => {});
    };
    return titles(server, { times: counts.length, step });
  };

  it("if there were more in each of the last five looks", async () => {
    expect(await growing([20, 1, 1, 1, 1, 1, 1])).toEqual(['"tail" becomes more and more: 26 now']);
  });

  it("is silent about a number that does not grow, and about a few", async () => {
    expect(await growing([20, 5, 0, 5, 1, 1, 1])).toEqual([]);
    expect(await growing([1, 1, 1, 1, 1, 1, 1])).toEqual([]);
  });
});

describe("createWatcher()", () => {
  it("does not show a problem that was seen in only one look", async () => {
    const server = openScope("server");
    spawn(server, never);
    await vi.advanceTimersByTimeAsync(11_000);
    expect(await titles(server, { times: 1 })).toEqual([]);
  });

  it("does not report silenced warnings", async () => {
    const server = openScope("server");
    spawn(server, never);
    await vi.advanceTimersByTimeAsync(11_000);
    expect(await titles(server, { silence: ["deaf"] })).toEqual([]);
    expect(await titles(server, { deafAfter: 60_000 })).toEqual([]);
  });

  it("refuses unknown options and unknown warnings", () => {
    expect(() => createWatcher({ silence: ["loud"] } as never)).toThrow(RangeError);
    expect(() => createWatcher({ deaf: 1 } as never)).toThrow(/deaf/);
    expect(() => createWatcher({ stuckAfter: -1 })).toThrow(RangeError);
  });
});
