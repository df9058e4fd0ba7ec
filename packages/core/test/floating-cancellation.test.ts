import { describe, expect, it } from "vitest";
import {
  all,
  createChannel,
  createScope,
  DeadlineExceededError,
  map,
  race,
  ScopeClosedError,
  sleep,
  spawn,
  withScope,
  type Scope,
  type ScopeHandle,
} from "../src/index.js";
import { flush, rejection } from "./support/deferred.js";
import { collectUnhandled } from "./support/unhandled-rejections.js";
import { starters, waits, type Operation } from "./support/scope-operations.js";

const unhandled = collectUnhandled();

/** After this Node has decided about all rejections that nobody awaits. */
async function decided(): Promise<void> {
  await flush();
  await flush();
}

const operations: Record<string, Operation> = { ...waits, ...starters };
const names = Object.keys(operations);

describe("rule 11: work that ends by the cancellation of a scope above need not be awaited", () => {
  const start = (name: string, scope: Scope): Promise<unknown> => (operations[name] as Operation)(scope);
  /** How the scope comes to be cancelled: itself, or with what is above it. */
  const cancellations: Record<string, (top: ScopeHandle, scope: Scope) => unknown> = {
    "cancel()": (_, scope) => scope.cancel(),
    "close() of the root": (top) => void top.close(),
    "a failure beside it": (top) => {
      spawn(top, () => {
        throw new Error("beside");
      });
      void top.close().catch(() => undefined);
    },
  };
  for (const [how, cancel] of Object.entries(cancellations)) {
    it.each(names)(`${how}: %s`, async (name) => {
      const top = createScope();
      let floating: Promise<unknown> | undefined;
      const inner = withScope(top, async (scope) => {
        floating = start(name, scope);
        await new Promise((resolve) => scope.onCancel(resolve)); // in good order: it returns
      });
      inner.catch(() => undefined);
      await flush();
      const [scope] = [top as Scope];
      cancel(top, scope);
      await decided();
      expect(unhandled).toEqual([]);
      // Code that awaits it afterwards still gets the reason.
      expect(await rejection(floating as Promise<unknown>)).toBe(top.reason);
      expect(top.reason).toBeDefined();
    });
  }

  it.each(names)("begun in a cancelled scope: %s", async (name) => {
    const scope = createScope();
    scope.cancel();
    const floating = start(name, scope);
    await decided();
    expect(unhandled).toEqual([]);
    expect(await rejection(floating)).toBe(scope.reason);
  });

  it.each(names)("begun hundreds of times in a cancelled scope: %s", async (name) => {
    const scope = createScope();
    scope.cancel();
    const floating = Array.from({ length: 300 }, () => start(name, scope));
    for (let turns = 0; turns < 10; turns++) await decided();
    expect(unhandled).toEqual([]);
    expect(await rejection(floating[299] as Promise<unknown>)).toBe(scope.reason);
  });
});

describe("rule 11: a wait that ends because its scope has ended need not be awaited", () => {
  it.each(Object.keys(waits))("%s", async (name) => {
    let floating: Promise<unknown> | undefined;
    await withScope((scope) => {
      floating = (waits[name] as Operation)(scope);
    });
    await decided();
    expect(unhandled).toEqual([]);
    expect(await rejection(floating as Promise<unknown>)).toBeInstanceOf(ScopeClosedError);
  });

  it.each(Object.keys(waits))("but a wait that begins after the end must be awaited: %s", async (name) => {
    const ended = await withScope((scope) => scope);
    void (waits[name] as Operation)(ended);
    await decided();
    expect(unhandled).toEqual([expect.any(ScopeClosedError)]);
  });
});

describe("rule 11: a scope that was cancelled on purpose need not be awaited", () => {
  it("withScope: by its body", async () => {
    const run = withScope(async (scope) => {
      scope.cancel("enough");
      await sleep(scope, 10);
    });
    await decided();
    expect(unhandled).toEqual([]);
    expect(await rejection(run)).toMatchObject({ kind: "explicit", cause: "enough" });
  });

  it("withScope: by a foreign signal", async () => {
    const controller = new AbortController();
    void withScope({ signal: controller.signal }, (scope) => sleep(scope, Infinity));
    controller.abort();
    await decided();
    expect(unhandled).toEqual([]);
  });

  it("join() of a handle", async () => {
    const scope = createScope();
    spawn(scope, (own) => sleep(own, Infinity));
    const joined = scope.join();
    scope.cancel();
    await decided();
    expect(unhandled).toEqual([]);
    expect(await rejection(joined)).toBe(scope.reason);
  });

  it("the promise of then() or finally() on a cancelled task", async () => {
    const scope = createScope();
    const task = spawn(scope, (own) => sleep(own, Infinity));
    void task.then(() => undefined);
    void task.finally(() => undefined);
    task.cancel();
    void task.then(() => undefined);
    await decided();
    expect(unhandled).toEqual([]);
    await scope.close();
  });
});

describe("rule 11: a new failure stays unhandled when it is not awaited", () => {
  const expectOne = async (check: (reason: unknown) => void): Promise<void> => {
    await decided();
    expect(unhandled).toHaveLength(1);
    check(unhandled[0]);
  };
  const late = { timeout: 0 };

  it("a scope's own deadline", async () => {
    void withScope(late, (scope) => sleep(scope, Infinity));
    await expectOne((reason) => expect(reason).toBeInstanceOf(DeadlineExceededError));
  });

  it("a scope's own deadline, below another scope", async () => {
    const scope = createScope();
    void withScope(scope, late, (own) => sleep(own, Infinity));
    await expectOne((reason) => expect(reason).toBeInstanceOf(DeadlineExceededError));
    await scope.close();
  });

  it("the join() of a handle that ran out of time", async () => {
    const scope = createScope({ timeout: 1 });
    spawn(scope, (own) => sleep(own, Infinity));
    void scope.join();
    await new Promise((resolve) => scope.signal.addEventListener("abort", resolve));
    await expectOne((reason) => expect(reason).toBe(scope.reason));
  });

  it.each([
    ["withScope", (scope: Scope, fail: () => never) => withScope(scope, fail)],
    ["all", (scope: Scope, fail: () => never) => all(scope, [fail])],
    ["race", (scope: Scope, fail: () => never) => race(scope, [fail])],
    ["map", (scope: Scope, fail: () => never) => map(scope, [1], fail)],
  ])("a failure of %s", async (_, start) => {
    const error = new Error("failed");
    const scope = createScope();
    void start(scope, () => {
      throw error;
    });
    await expectOne((reason) => expect(reason).toBe(error));
    await scope.close();
  });

  it("a failure during a cancellation", async () => {
    const error = new Error("cleanup failed");
    const scope = createScope();
    void withScope(scope, async (own) => {
      own.defer(() => {
        throw error;
      });
      await sleep(own, Infinity);
    });
    await flush();
    void scope.close();
    await expectOne((reason) => expect(reason).toBe(error));
  });

  it("an error that a callback of finally() throws after a task was cancelled", async () => {
    const error = new Error("finally failed");
    const scope = createScope();
    const task = spawn(scope, (own) => sleep(own, Infinity));
    void task.finally((): unknown => Promise.reject(error));
    task.cancel();
    await expectOne((reason) => expect(reason).toBe(error));
    await scope.close();
  });

  it("a closed channel", async () => {
    const channel = createChannel();
    channel.close();
    const scope = createScope();
    void channel.receive(scope);
    await expectOne((reason) => expect(reason).toMatchObject({ code: "BOUGH_CHANNEL_CLOSED" }));
    await scope.close();
  });
});

it("rule 11: two waits of a cancelled scope may be awaited one after the other", async () => {
  const scope = createScope();
  spawn(scope, async (task) => {
    const message = createChannel().receive(task);
    const pause = sleep(task, 1_000);
    await message;
    await pause;
  });
  await flush();
  await scope.close();
  await decided();
  expect(unhandled).toEqual([]);
});
