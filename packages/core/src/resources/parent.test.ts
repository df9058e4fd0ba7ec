import { afterEach, describe, expect, it, vi } from "vitest";
import { createServer } from "node:http";
import { deferred, flush, outcomeOf, rejection, thrown } from "../../test/support/deferred.js";
import { collectUnhandled } from "../../test/support/unhandled-rejections.js";
import { serverScope } from "../http/index.js";
import {
  background,
  close,
  createChannel,
  createContextKey,
  createScope,
  ScopeClosedError,
  selfCleaning,
  sleep,
  spawn,
  StuckTasksError,
  withScope,
  type Channel,
  type Scope,
} from "../index.js";

const unhandled = collectUnhandled();

afterEach(async () => {
  await flush();
  // oxlint-disable-next-line vitest/no-standalone-expect -- holds for every test
  expect(unhandled).toEqual([]);
});

const failure = new Error("failure");

class Cache {
  readonly scope: Scope;
  constructor(scope: Scope) {
    this.scope = scope;
  }
  get(): number {
    return 1;
  }
}
const build = (scope: Scope): Cache => new Cache(scope);
const untilCancelled = (scope: Scope): Promise<never> =>
  new Promise((_, reject) => scope.onCancel((reason) => reject(reason)));

describe("rule 24: selfCleaning() with a parent", () => {
  it("makes a child of it, with its context, named as usual", async () => {
    const key = createContextKey<string>("key");
    const parent = createScope({ name: "server" });
    parent.set(key, "value");
    const cache = selfCleaning(parent, (scope) => new Cache(scope));
    expect([cache.scope.path, cache.scope.get(key), cache.get()]).toEqual(["server/Cache", "value", 1]);
    const named = selfCleaning(parent, build, { name: "named" });
    expect(named.scope.path).toBe("server/named");
    const below = await withScope(parent, (view) => {
      const { path } = selfCleaning(view, build).scope;
      view.cancel();
      return path;
    });
    expect(below).toBe("server/anonymous/build");
    await close(cache);
    expect(parent.state).toBe("open");
    await parent.close();
  });

  it("is cancelled with the parent, which waits for its cleanups", async () => {
    const parent = createScope();
    const gate = deferred();
    const cache = selfCleaning(parent, (scope) => {
      scope.defer(() => gate.promise);
      spawn(scope, untilCancelled);
      return new Cache(scope);
    });
    const closed = parent.close({ cause: "bye" });
    expect(cache.scope.reason).toBe(parent.reason);
    expect(await outcomeOf(closed)).toBe("pending");
    expect(cache.get()).toBe(1); // the object stays usable
    gate.resolve();
    await closed;
    await close(cache);
  });

  it("keeps the parent open until it is closed, as a child handle of createScope does", async () => {
    const parent = createScope();
    const cache = selfCleaning(parent, build);
    const joined = parent.join();
    expect(await outcomeOf(joined)).toBe("pending");
    await close(cache);
    await joined;
  });

  it("rule 11: a failure of a worker without a receiver is the parent's", async () => {
    const parent = createScope();
    selfCleaning(parent, (scope) => {
      spawn(scope, () => Promise.reject(failure));
      return new Cache(scope);
    });
    expect(await rejection(parent.join())).toBe(failure);
  });

  it("rule 11: a failure that close() has delivered is not the parent's", async () => {
    const parent = createScope();
    const cache = selfCleaning(parent, (scope) => {
      spawn(scope, () => Promise.reject(failure));
      return new Cache(scope);
    });
    expect(await rejection(close(cache))).toBe(failure);
    await parent.join();
    expect(parent.errors).toEqual([]);
  });

  it("throws the reason of a parent that is cancelled, and does not call build", async () => {
    const never = vi.fn<() => object>();
    const parent = createScope();
    parent.cancel();
    expect(thrown(() => selfCleaning(parent, never as () => Cache))).toBe(parent.reason);
    const busy = createScope();
    spawn(busy, untilCancelled);
    const inListener: unknown[] = [];
    busy.onCancel(() => inListener.push(thrown(() => selfCleaning(busy, never as () => Cache))));
    busy.cancel();
    expect(inListener).toEqual([busy.reason]);
    expect(never).not.toHaveBeenCalled();
  });

  it("throws ScopeClosedError for a parent that has ended", async () => {
    const parent = createScope();
    await parent.close();
    expect(thrown(() => selfCleaning(parent, build))).toBeInstanceOf(ScopeClosedError);
  });

  it("throws the error that build throws, and the parent continues", async () => {
    const parent = createScope();
    const cleanup = vi.fn<() => void>();
    const error = thrown(() =>
      selfCleaning(parent, (scope): Cache => {
        scope.defer(cleanup);
        spawn(scope, untilCancelled);
        throw failure;
      }),
    );
    expect(error).toBe(failure);
    await parent.join();
    expect(cleanup).toHaveBeenCalledTimes(1);
    expect(parent.errors).toEqual([]);
  });

  it("throws the reason when build cancels the parent and throws it", async () => {
    const parent = createScope();
    const error = thrown(() =>
      selfCleaning(parent, (scope): Cache => {
        parent.cancel("from inside");
        scope.throwIfCancelled();
        return new Cache(scope);
      }),
    );
    expect(error).toBe(parent.reason);
    await parent.close();
  });

  it("has the deadline of the parent, and its own if that is earlier", async () => {
    const parent = createScope({ deadline: Date.now() + 60_000 });
    const cache = selfCleaning(parent, build);
    const short = selfCleaning(parent, build, { deadline: Date.now() + 1_000 });
    expect(cache.scope.deadline).toBe(parent.deadline);
    expect(short.scope.deadline).toBeLessThan(parent.deadline as number);
    await Promise.all([close(cache), close(short)]);
    await parent.close();
  });

  it("accepts the background as the parent, and refuses a handle of selfCleaning", async () => {
    const cache = selfCleaning(background, build);
    expect(cache.scope.path).toBe("build");
    expect(() => selfCleaning(cache as never, build)).toThrow("selfCleaning: parent must be a Scope");
    await close(cache);
  });
});

describe("close() of any owner handle", () => {
  it("closes a handle of createScope, as its own method does", async () => {
    const scope = createScope();
    const task = spawn(scope, untilCancelled);
    await close(scope, { cause: "bye" });
    expect(scope.state).toBe("closed");
    expect(scope.reason).toMatchObject({ kind: "closed", cause: "bye" });
    expect(task.status).toBe("cancelled");
    await close(scope); // twice
  });

  it("closes a facade with a cause", async () => {
    const cache = selfCleaning(build);
    await close(cache, { cause: "bye" });
    expect(cache.scope.reason).toMatchObject({ kind: "closed", cause: "bye" });
  });

  it("closes the scope of a server", async () => {
    const scope = serverScope(createServer());
    await close(scope);
    expect(scope.state).toBe("closed");
  });

  it("rejects with a failure, and with the stuck tasks when the grace period runs out", async () => {
    const scope = createScope();
    spawn(scope, () => Promise.reject(failure));
    expect(await rejection(close(scope))).toBe(failure);
    const gate = deferred();
    for (const handle of [createScope(), selfCleaning(build)]) {
      spawn("scope" in handle ? handle.scope : handle, () => gate.promise);
      expect(await rejection(close(handle, { grace: 1 }))).toBeInstanceOf(StuckTasksError);
    }
    gate.resolve();
  });

  it("refuses a view, which does not own its scope, and says what to do", async () => {
    await withScope(async (scope) => {
      const error = await rejection(close(scope as never));
      expect(error).toBeInstanceOf(TypeError);
      expect(String(error)).toContain("close: handle must come from selfCleaning() or createScope()");
      expect(String(error)).toContain("only the owner of a scope closes it");
      expect(scope.state).toBe("open");
      await sleep(scope, 0);
    });
  });
});

describe("a channel behind a handle", () => {
  it("forwards trySend(), closed and tryReceive()", async () => {
    class Feed {
      readonly #lines = createChannel<string>(1);
      lines(): Channel<string> {
        return this.#lines;
      }
    }
    const feed = selfCleaning(() => new Feed());
    const lines = feed.lines();
    expect([lines.trySend("a"), lines.trySend("b"), lines.closed]).toEqual([true, false, false]);
    expect(lines.tryReceive()).toEqual({ closed: false, value: "a" });
    lines.close();
    expect([lines.closed, lines.tryReceive()]).toEqual([true, { closed: true, cause: undefined }]);
    await close(feed);
  });
});
