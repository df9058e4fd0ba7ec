import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  createScope,
  spawn,
  StuckTasksError,
  withScope,
  type Scope,
  type ScopeHandle,
  type ScopeOptions,
} from "../src/index.js";

/**
 * Faults of earlier versions, each as the behaviour that is correct. They were found by the model check and by hand.
 */

const never = (scope: Scope): Promise<never> => new Promise((_, reject) => scope.onCancel(reject));

/** Everything that happens without time passing has happened. */
function quiet(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** How a promise has settled by now; `pending` if it has not. */
async function outcome(promise: PromiseLike<unknown>): Promise<unknown> {
  let result: unknown = "pending";
  promise.then(
    () => (result = "resolved"),
    (error: unknown) => (result = error),
  );
  await quiet();
  await quiet();
  return result;
}

describe("signals", () => {
  test("rule 13: a signal that is first read in a callback of the cancellation is aborted", () => {
    const scope = createScope();
    let signal: AbortSignal | undefined;
    scope.onCancel(() => (signal = scope.signal));
    scope.cancel();
    expect(signal?.aborted).toBe(true);
    expect(signal?.reason).toBe(scope.reason);
  });
});

describe("receivers", () => {
  test("rule 11: a handle that started cancelled has its own onError", () => {
    const failure = new Error("late");
    const onError = vi.fn<(error: unknown) => void>();
    const parent = createScope();
    parent.cancel();
    const handle = createScope(parent, { onError });
    handle.onCancel(() => {
      throw failure;
    });
    expect(onError.mock.calls[0]?.[0]).toBe(failure);
  });
});

describe("hostile values", () => {
  test("spawn() accepts a worker whose name can't be read", async () => {
    const worker = async (): Promise<number> => 1;
    Object.defineProperty(worker, "name", {
      get() {
        throw new Error("no name");
      },
    });
    const scope = createScope();
    const task = spawn(scope, worker);
    expect(task.name).toBe("anonymous");
    expect(await outcome(scope.join())).toBe("resolved");
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("hostile");
      },
    ],
    [
      "calls back at once, and twice",
      (resolve: (value: number) => void) => {
        resolve(2);
        resolve(3);
      },
    ],
    ["never calls back", () => undefined],
  ])("spawn() treats a native promise as await does, although its own `then` %s", async (_, then) => {
    const scope = createScope();
    const promise = Promise.resolve(1);
    // oxlint-disable-next-line unicorn/no-thenable -- the point of the test
    void Object.defineProperty(promise, "then", { value: then });
    const task = spawn(scope, () => promise);
    expect(await outcome(scope.join())).toBe("resolved");
    expect(await task).toBe(1);
  });

  test.each([1, 2, 3])(
    "spawn() survives a promise whose constructor throws when read for the %dth time",
    async (at) => {
      let reads = 0;
      const promise = Promise.resolve(1);
      void Object.defineProperty(promise, "constructor", {
        get() {
          if (++reads >= at) throw new Error("no constructor");
          return Promise;
        },
      });
      const scope = createScope();
      const task = spawn(scope, () => promise);
      expect(await outcome(scope.join())).not.toBe("pending");
      expect(task.status).not.toBe("running");
    },
  );
});

describe("an option that fails while it is applied", () => {
  const failure = new Error("hostile");
  const fail = (): never => {
    throw failure;
  };
  const setTimeoutOf = globalThis.setTimeout;
  afterEach(() => {
    globalThis.setTimeout = setTimeoutOf;
  });

  test.each<[string, () => ScopeOptions]>([
    ["a signal that takes no listener", () => ({ signal: hostileSignal({ addEventListener: fail }) })],
    ["a signal that can't be read", () => ({ signal: hostileSignal({}, fail) })],
    ["a setTimeout that throws", () => ((globalThis.setTimeout = fail as never), { timeout: 1_000 })],
  ])("createScope() and withScope() leave nothing behind after %s", async (_, options) => {
    const parent = createScope();
    expect(() => createScope(parent, options())).toThrow(failure);
    const body = vi.fn<() => void>();
    await expect(withScope(parent, options(), body)).rejects.toBe(failure);
    expect(body).not.toHaveBeenCalled();
    globalThis.setTimeout = setTimeoutOf;
    expect(await outcome(parent.join())).toBe("resolved");
  });

  test("spawn() frees its slot", async () => {
    const parent = createScope({ concurrency: 1 });
    globalThis.setTimeout = fail as never;
    expect(() => spawn(parent, never, { timeout: 1_000 })).toThrow(failure);
    globalThis.setTimeout = setTimeoutOf;
    expect(spawn(parent, () => "runs").status).toBe("succeeded");
    expect(await outcome(parent.join())).toBe("resolved");
  });

  function hostileSignal(own: object, aborted: () => boolean = () => false): AbortSignal {
    const signal = { addEventListener() {}, removeEventListener() {}, ...own };
    return Object.defineProperty(signal, "aborted", { get: aborted }) as unknown as AbortSignal;
  }
});

describe("time", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));
  afterEach(() => void vi.useRealTimers());

  test("a cleanup that is deferred while a task fails with its timeout is called", async () => {
    const scope = createScope();
    const cleanup = vi.fn<() => void>();
    let timed: Scope | undefined;
    let accepted = false;
    spawn(
      scope,
      (task) => {
        timed = task;
        spawn(task, never);
      },
      { timeout: 5 },
    );
    spawn(scope, (sibling) => {
      sibling.onCancel(() => {
        timed?.defer(cleanup);
        accepted = true;
      });
      return never(sibling);
    });
    vi.advanceTimersByTime(5);
    await outcome(scope.join());
    expect(accepted).toBe(true);
    expect(cleanup).toHaveBeenCalledOnce();
  });

  test("rule 17: stuck work that a close() has reported is not reported again", async () => {
    const onError = vi.fn<(error: unknown) => void>();
    const scope = createScope({ grace: 100, onError });
    let end!: () => void;
    spawn(scope, () => new Promise<void>((resolve) => (end = resolve)));
    const closed = scope.close({ grace: 10 }).catch((error: unknown) => error);
    vi.advanceTimersByTime(10);
    expect(await closed).toBeInstanceOf(StuckTasksError);
    vi.advanceTimersByTime(100);
    expect(onError).not.toHaveBeenCalled();
    end();
    expect(await outcome(scope.close())).toBe("resolved");
  });
});

describe("rule 18: deep trees of plain tasks", () => {
  const DEPTH = 10_000;

  test("a cancellation of each level keeps one copy of the common part of their paths", async () => {
    const { root, views, endAll } = chain();
    for (const view of views.toReversed()) view.cancel();
    expect(views.at(-1)?.reason?.scope.length).toBeGreaterThan(DEPTH);
    endAll();
    expect(await outcome(root.close())).toBe("resolved");
  });

  test("a report of stuck tasks keeps one copy of the common part of their paths", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
    const { root, endAll } = chain();
    const closed = root.close({ grace: 5 }).catch((error: unknown) => error);
    vi.advanceTimersByTime(5);
    vi.useRealTimers();
    expect(((await closed) as StuckTasksError).tasks).toHaveLength(DEPTH);
    endAll();
    expect(await outcome(root.close())).toBe("resolved");
  });

  function chain(): { root: ScopeHandle; views: Scope[]; endAll: () => void } {
    const root = createScope({ name: "root" });
    const views: Scope[] = [];
    const ends: (() => void)[] = [];
    for (let level = 0; level < DEPTH; level++) {
      spawn(views.at(-1) ?? root, (view) => {
        views.push(view);
        return new Promise<void>((resolve) => ends.push(resolve));
      });
    }
    return { root, views, endAll: () => ends.forEach((end) => end()) };
  }
});
