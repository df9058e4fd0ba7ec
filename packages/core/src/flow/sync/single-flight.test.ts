import { beforeEach, describe, expect, it, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection, type Deferred } from "../../../test/support/deferred.js";
import { collectUnhandled } from "../../../test/support/unhandled-rejections.js";
import {
  createContextKey,
  createScope,
  createSingleFlight,
  ScopeClosedError,
  sleep,
  spawn,
  withScope,
  type Scope,
  type ScopeHandle,
} from "../../index.js";
import { setTracing, snapshot } from "../../inspect/index.js";

const unhandled = collectUnhandled();
const failure = new Error("failure");

let owner: ScopeHandle;
let gate: Deferred<string>;
let own: Scope | undefined;

beforeEach(async () => {
  owner = createScope({ name: "owner" });
  gate = deferred<string>();
  own = undefined;
  return async () => {
    gate.resolve("end of the test");
    await owner.close().catch(() => undefined);
    await flush();
    // oxlint-disable-next-line vitest/no-standalone-expect -- holds for every test
    expect(unhandled).toEqual([]);
  };
});

/** Waits for the gate, or for the cancellation. */
const load = vi.fn<(entered: Scope) => Promise<string>>((entered) => {
  own = entered;
  return Promise.race([
    gate.promise,
    new Promise<never>((_, reject) => entered.onCancel((reason) => reject(reason))),
  ]);
});
beforeEach(() => void load.mockClear());

describe("createSingleFlight()", () => {
  it("rule 22: callers with the same key share one run, and each gets its value", async () => {
    const flights = createSingleFlight<string, string>(owner);
    const [a, b] = [createScope(), createScope()];
    const results = [flights.do(a, "key", load), flights.do(b, "key", load), flights.do(a, "key", load)];
    expect(load).toHaveBeenCalledTimes(1); // synchronously
    gate.resolve("value");
    expect(await Promise.all(results)).toEqual(["value", "value", "value"]);
    expect(load).toHaveBeenCalledTimes(1);
  });

  it("rule 22: keeps no result: the next call runs the worker again", async () => {
    const flights = createSingleFlight<string, number>(owner);
    let calls = 0;
    const scope = createScope();
    expect(await flights.do(scope, "key", () => ++calls)).toBe(1);
    expect(await flights.do(scope, "key", async () => ++calls)).toBe(2);
    const third = flights.do(scope, "key", async () => ++calls);
    expect(await flights.do(scope, "key", async () => ++calls)).toBe(3); // joined
    expect(await third).toBe(3);
  });

  it("compares keys as a Map does", async () => {
    const flights = createSingleFlight<unknown, string>(owner);
    const scope = createScope();
    const key = {};
    for (const each of [1, "1", NaN, NaN, undefined, key, {}, key]) void flights.do(scope, each, load);
    expect(load).toHaveBeenCalledTimes(6);
    const other = createSingleFlight<unknown, string>(owner);
    void other.do(scope, 1, load);
    expect(load).toHaveBeenCalledTimes(7);
  });

  it("runs the worker in a task of the owner, with the owner's context and async context of the first caller", async () => {
    const user = createContextKey<string>("user", "nobody");
    owner.set(user, "owner");
    const caller = createScope();
    caller.set(user, "caller");
    const flights = createSingleFlight<string, string[]>(owner);
    const result = flights.do(caller, "key", function loadUser(entered) {
      return [entered.get(user), entered.path];
    });
    expect(await result).toEqual(["owner", "owner/singleFlight/loadUser"]);
    void flights.do(caller, "key", async (entered) => [await load(entered)]);
    expect(snapshot(owner).children.map(({ name, kind, status }) => [name, kind, status])).toEqual([
      ["singleFlight", "task", "running"],
    ]);
  });

  it("a run counts towards the owner's concurrency, and callers can join and leave a queued run", async () => {
    const narrow = createScope({ concurrency: 1 });
    const flights = createSingleFlight<number, string>(narrow);
    const [a, b, c] = [createScope(), createScope(), createScope()];
    const first = flights.do(a, 1, load);
    const second = flights.do(b, 2, load);
    const joined = flights.do(c, 2, load);
    const third = rejection(flights.do(a, 3, load));
    expect(load).toHaveBeenCalledTimes(1);
    b.cancel();
    expect(await rejection(second)).toBe(b.reason);
    a.cancel();
    expect(await third).toBe(a.reason);
    expect(await rejection(first)).toBe(a.reason);
    await flush();
    expect(load).toHaveBeenCalledTimes(2); // of 2, never of 3
    gate.resolve("value");
    expect(await joined).toBe("value");
    await narrow.join();
    expect(load).toHaveBeenCalledTimes(2);
  });

  describe("a caller that is cancelled", () => {
    it("rule 22: leaves immediately, and the run continues for the others", async () => {
      const flights = createSingleFlight<string, string>(owner);
      const [a, b] = [createScope(), createScope()];
      const [left, stays] = [flights.do(a, "key", load), flights.do(b, "key", load)];
      a.cancel();
      expect(await rejection(left)).toBe(a.reason);
      expect(own?.cancelled).toBe(false);
      gate.resolve("value");
      expect(await stays).toBe("value");
    });

    it("rule 22: cancels the run when it is the last, with kind closed, and its scope does not wait for that", async () => {
      const flights = createSingleFlight<string, string>(owner);
      const cleanup = deferred();
      const [a, b] = [createScope(), createScope()];
      const worker = (entered: Scope): Promise<string> => {
        entered.defer(() => cleanup.promise);
        return load(entered);
      };
      const results = [a, b].map((scope) => rejection(flights.do(scope, "key", worker)));
      a.cancel();
      b.cancel();
      expect(own?.reason).toMatchObject({ kind: "closed" });
      expect(await Promise.all(results)).toEqual([a.reason, b.reason]);
      await Promise.all([a.close(), b.close()]);
      const closed = owner.close();
      expect(await outcomeOf(closed)).toBe("pending"); // the owner does
      cleanup.resolve();
      await closed;
      expect(owner.errors).toEqual([]);
    });

    it("rule 22: a call after that starts a new run, although the first run is still cleaning up", async () => {
      const flights = createSingleFlight<string, string>(owner);
      const cleanup = deferred();
      const [a, b] = [createScope(), createScope()];
      void flights.do(a, "key", (entered) => {
        entered.defer(() => cleanup.promise);
        return load(entered);
      });
      a.cancel();
      const again = flights.do(b, "key", () => "fresh");
      expect(await again).toBe("fresh");
      const third = flights.do(b, "key", load);
      cleanup.resolve(); // the first run must not free the key of the third
      await flush();
      const joined = flights.do(b, "key", () => "not called");
      gate.resolve("value");
      expect(await Promise.all([third, joined])).toEqual(["value", "value"]);
    });

    it("may be the caller that runs the worker, from inside the worker", async () => {
      const flights = createSingleFlight<string, string>(owner);
      const a = createScope();
      const result = rejection(
        flights.do(a, "key", (entered) => {
          a.cancel("from inside");
          expect(entered.cancelled).toBe(true);
          return load(entered);
        }),
      );
      expect(await result).toBe(a.reason);
      expect(owner.errors).toEqual([]);
      expect(await flights.do(createScope(), "key", () => "fresh")).toBe("fresh");
    });

    it("rule 15: keeps a value that came before", async () => {
      const flights = createSingleFlight<string, string>(owner);
      const a = createScope();
      const result = flights.do(a, "key", () => "value");
      a.cancel();
      expect(await result).toBe("value");
    });

    it("does not receive the value of a worker that swallows its cancellation", async () => {
      const flights = createSingleFlight<string, string>(owner);
      const a = createScope();
      const result = rejection(flights.do(a, "key", () => gate.promise));
      a.cancel();
      expect(await result).toBe(a.reason);
      gate.resolve("late");
      await owner.join();
    });

    it("leaves with all others in one cancellation from above, or when its scope ends", async () => {
      const flights = createSingleFlight<string, string>(owner);
      const above = createScope();
      const tasks = [1, 2, 3].map(() => spawn(above, (task) => flights.do(task, "key", load)));
      above.cancel();
      for (const task of tasks) expect(await rejection(task)).toBe(above.reason);
      expect(own?.cancelled).toBe(true);
      let floating!: Promise<string>;
      await withScope((scope) => {
        floating = flights.do(scope, "key", load);
      });
      expect(await rejection(floating)).toBeInstanceOf(ScopeClosedError);
      expect(own?.cancelled).toBe(true);
    });
  });

  describe("a failure", () => {
    it("rule 22: goes to each caller once, and not to the owner", async () => {
      const onError = vi.fn<(error: unknown) => void>();
      const quiet = createScope({ onError });
      const flights = createSingleFlight<string, string>(quiet);
      const [a, b] = [createScope(), createScope()];
      const results = [a, b].map((scope) => flights.do(scope, "key", load));
      gate.reject(failure);
      for (const result of results) expect(await rejection(result)).toBe(failure);
      await quiet.join();
      expect([quiet.errors, a.errors, b.errors]).toEqual([[], [], []]);
      expect(onError).not.toHaveBeenCalled();
    });

    it("fails each task that does not catch it", async () => {
      const flights = createSingleFlight<string, string>(owner);
      const [a, b] = [createScope(), createScope()];
      const joins = [a, b].map((scope) => {
        void spawn(scope, (task) => flights.do(task, "key", load));
        return rejection(scope.join());
      });
      gate.reject(failure);
      expect(await Promise.all(joins)).toEqual([failure, failure]);
      await owner.join();
    });

    it("goes to the caller, and frees the key, when the worker throws synchronously", async () => {
      const flights = createSingleFlight<string, string>(owner);
      const scope = createScope();
      const throws = (): string => {
        throw failure;
      };
      expect(await rejection(flights.do(scope, "key", throws))).toBe(failure);
      expect(await flights.do(scope, "key", () => "value")).toBe("value");
      expect(owner.errors).toEqual([]);
    });

    it("goes to the callers when a child of the worker or a cleanup has failed", async () => {
      const flights = createSingleFlight<string, string>(owner);
      const scope = createScope();
      const ofChild = flights.do(scope, "key", (entered) => {
        spawn(entered, () => Promise.reject(failure));
        return "value";
      });
      expect(await rejection(ofChild)).toBe(failure);
      const ofCleanup = flights.do(scope, "key", (entered) => {
        entered.defer(() => Promise.reject(failure));
        return "value";
      });
      expect(await rejection(ofCleanup)).toBe(failure);
      expect(owner.errors).toEqual([]);
    });

    it("rule 22: goes to the owner after the last caller has left", async () => {
      const flights = createSingleFlight<string, string>(owner);
      const a = createScope();
      void flights.do(a, "key", (entered) => {
        entered.defer(() => Promise.reject(failure));
        return load(entered);
      });
      a.cancel();
      expect(await rejection(owner.join())).toBe(failure);
    });

    it("goes to onError of a supervising owner after the last caller has left", async () => {
      const onError = vi.fn<(error: unknown) => void>();
      const supervising = createScope({ supervise: true, onError });
      const flights = createSingleFlight<string, string>(supervising);
      const a = createScope();
      void flights.do(a, "key", (entered) => load(entered).catch(() => Promise.reject(failure)));
      a.cancel();
      await flush();
      expect(onError.mock.calls.map(([error]) => error)).toEqual([failure]);
      await supervising.close();
    });
  });

  it("a worker that cancels its own scope rejects with that reason", async () => {
    const flights = createSingleFlight<string, string>(owner);
    const result = rejection(
      flights.do(createScope(), "key", (entered) => {
        entered.cancel("no such user");
        return load(entered);
      }),
    );
    expect(await result).toMatchObject({ kind: "explicit", cause: "no such user" });
    expect(owner.state).toBe("open");
  });

  it("an owner that is cancelled cancels the runs, also queued ones, and the callers get its reason", async () => {
    const narrow = createScope({ concurrency: 1 });
    const flights = createSingleFlight<number, string>(narrow);
    const scope = createScope();
    const results = [rejection(flights.do(scope, 1, load)), rejection(flights.do(scope, 2, load))];
    narrow.cancel("stop");
    expect(await Promise.all(results)).toEqual([narrow.reason, narrow.reason]);
    expect(await rejection(flights.do(scope, 1, load))).toBe(narrow.reason);
    expect(load).toHaveBeenCalledTimes(1);
    expect(scope.state).toBe("open");
  });

  it("an owner that has ended refuses a call", async () => {
    const flights = createSingleFlight<string, string>(owner);
    await owner.close();
    const error = await rejection(flights.do(createScope(), "key", load));
    expect(error).toBeInstanceOf(ScopeClosedError);
    expect(String(error)).toContain("do: ");
    expect(load).not.toHaveBeenCalled();
  });

  it("an owner that is closing waits for a run, and then refuses further runs", async () => {
    const flights = createSingleFlight<string, string>(owner);
    const scope = createScope();
    const first = flights.do(scope, "key", load);
    const joined = owner.join();
    expect(await outcomeOf(joined)).toBe("pending");
    gate.resolve("value");
    expect(await first).toBe("value");
    await joined;
    expect(await rejection(flights.do(scope, "key", load))).toBeInstanceOf(ScopeClosedError);
  });

  it("refuses a caller that is cancelled or has ended, without joining or starting", async () => {
    const flights = createSingleFlight<string, string>(owner);
    const [cancelled, closed, waits] = [createScope(), createScope(), createScope()];
    cancelled.cancel();
    await closed.join();
    expect(await rejection(flights.do(cancelled, "key", load))).toBe(cancelled.reason);
    expect(await rejection(flights.do(closed, "key", load))).toBeInstanceOf(ScopeClosedError);
    expect(load).not.toHaveBeenCalled();
    const result = rejection(flights.do(waits, "key", load));
    expect(await rejection(flights.do(cancelled, "key", load))).toBe(cancelled.reason);
    waits.cancel();
    expect(await result).toBe(waits.reason);
    expect(own?.cancelled).toBe(true);
  });

  it("rule 11: a call whose scope was cancelled need not be awaited", async () => {
    const flights = createSingleFlight<string, string>(owner);
    const a = createScope();
    void flights.do(a, "key", load);
    a.cancel();
    await flush();
    expect(unhandled).toEqual([]);
  });

  it("rule 26: names the line that called do(), for the task and for the scope in it", () => {
    setTracing(true);
    try {
      void createSingleFlight<string, string>(owner).do(createScope({ onOrphan: "ignore" }), "key", load);
      const [task] = snapshot(owner).children;
      expect(task?.spawnedAt).toContain("single-flight.test.ts:");
      expect(task?.children[0]?.spawnedAt).toBe(task?.spawnedAt);
    } finally {
      setTracing(false);
    }
  });

  it("leaves nothing behind", async () => {
    const flights = createSingleFlight<number, number>(owner);
    const scope = createScope();
    for (let key = 0; key < 100; key++)
      await flights.do(scope, key, (entered) => sleep(entered, 0).then(() => key));
    expect(snapshot(owner).children).toEqual([]);
    await scope.join();
    await owner.join();
  });
});
