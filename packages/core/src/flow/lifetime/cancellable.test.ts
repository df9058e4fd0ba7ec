import { describe, expect, it, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection, type Deferred } from "../../../test/support/deferred.js";
import { useFakeTime } from "../../../test/support/fake-time.js";
import {
  cancellable,
  createScope,
  DeadlineExceededError,
  race,
  ScopeClosedError,
  sleep,
  spawn,
  suppressed,
  withScope,
  type StuckTasksError,
} from "../../index.js";

const unhandled = useFakeTime();

const failure = new Error("failure");
const stopped = new Error("canceling statement due to user request");

/** An operation that knows no signal, and the spies for its start and its stop. */
function query<T = string>() {
  const operation: Deferred<T> = deferred<T>();
  const start = vi.fn<() => Promise<T>>(() => operation.promise);
  const stop = vi.fn<(operation: Promise<T>, reason: unknown) => unknown>(() => operation.reject(stopped));
  return { operation, start, stop };
}

describe("cancellable()", () => {
  it("resolves with the value of the operation, and does not stop it", async () => {
    const scope = createScope();
    const { operation, start, stop } = query();
    const result = cancellable(scope, start, stop);
    expect(start).toHaveBeenCalledTimes(1); // synchronously
    operation.resolve("rows");
    expect(await result).toBe("rows");
    scope.cancel();
    expect(stop).not.toHaveBeenCalled();
  });

  it("takes a value that is not a promise, and any thenable", async () => {
    const scope = createScope();
    const stop = vi.fn<() => void>();
    expect(await cancellable(scope, () => 1, stop)).toBe(1);
    // oxlint-disable-next-line unicorn/no-thenable -- that is what is tested
    const thenable = { then: (resolve: (value: number) => void) => resolve(2) } as PromiseLike<number>;
    expect(await cancellable(scope, () => thenable, stop)).toBe(2);
    expect(await cancellable(scope, () => spawn(scope, () => 3), stop)).toBe(3);
    expect(stop).not.toHaveBeenCalled();
  });

  it("rule 22: stops the operation once when its scope is cancelled, and turns its error into the reason", async () => {
    const scope = createScope();
    const { operation, start, stop } = query();
    const result = rejection(cancellable(scope, start, stop));
    scope.cancel("enough");
    expect(stop.mock.calls).toEqual([[operation.promise, scope.reason]]); // within the cancellation
    scope.cancel("again");
    await scope.close();
    expect(await result).toBe(scope.reason);
    expect(stop).toHaveBeenCalledTimes(1);
    expect(scope.errors).toEqual([]);
    expect(suppressed(scope.reason)).toEqual([]);
  });

  it("rule 22: turns an error of any shape into the reason", async () => {
    for (const error of [new TypeError("terminated"), "57014", undefined, new AggregateError([])]) {
      const scope = createScope();
      const { operation, start, stop } = query();
      stop.mockImplementation(() => operation.reject(error));
      const result = rejection(cancellable(scope, start, stop));
      scope.cancel();
      expect(await result).toBe(scope.reason);
      expect(scope.errors).toEqual([]);
    }
  });

  it("rule 22: waits for the operation, and so does its scope, although it is not awaited", async () => {
    const scope = createScope();
    const { operation, start, stop } = query();
    stop.mockReturnValue(undefined);
    void cancellable(scope, start, stop);
    const closed = scope.close();
    expect(await outcomeOf(closed)).toBe("pending");
    operation.reject(stopped);
    await closed;
  });

  it("rule 15: keeps a value that still comes", async () => {
    const scope = createScope();
    const { operation, start, stop } = query();
    stop.mockImplementation(() => operation.resolve("committed"));
    const result = cancellable(scope, start, stop);
    scope.cancel();
    expect(await result).toBe("committed");
  });

  it("rejects with the error of an operation that fails by itself, the same object", async () => {
    const scope = createScope();
    const { operation, start, stop } = query();
    const result = rejection(cancellable(scope, start, stop));
    operation.reject(failure);
    expect(await result).toBe(failure);
    expect(stop).not.toHaveBeenCalled();
    const thrower = (): Promise<string> => {
      throw failure;
    };
    expect(await rejection(cancellable(scope, thrower, stop))).toBe(failure);
    expect(stop).not.toHaveBeenCalled();
    expect([scope.state, scope.errors]).toEqual(["open", []]);
  });

  it("a failure that was there before the cancellation stays one, also if its name is AbortError", async () => {
    const scope = createScope();
    const { operation, start, stop } = query();
    const error = new DOMException("aborted by the server", "AbortError");
    const result = cancellable(scope, start, stop);
    void result.catch(() => undefined);
    operation.reject(error);
    await operation.promise.catch(() => undefined);
    await Promise.resolve();
    scope.cancel();
    expect(await rejection(result)).toBe(error);
    expect(stop).not.toHaveBeenCalled();
  });

  it("rule 22: rejects with the error that stop throws once the operation has ended", async () => {
    const scope = createScope();
    const { operation, start, stop } = query();
    stop.mockImplementation(() => {
      throw failure;
    });
    const result = cancellable(scope, start, stop);
    scope.cancel();
    expect(await outcomeOf(result)).toBe("pending");
    operation.resolve("rows");
    expect(await rejection(result)).toBe(failure);
    expect(scope.errors).toEqual([]); // the caller has received it
  });

  it("rule 22: awaits a stop that takes time, and rejects with its rejection", async () => {
    const scope = createScope();
    const { operation, start, stop } = query();
    const stopping = deferred<never>();
    stop.mockReturnValue(stopping.promise);
    const result = cancellable(scope, start, stop);
    scope.cancel();
    operation.reject(stopped);
    expect(await outcomeOf(result)).toBe("pending");
    stopping.reject(failure);
    expect(await rejection(result)).toBe(failure);
  });

  it("a stop that has failed before the operation has ended is not an unhandled rejection", async () => {
    const scope = createScope();
    const { operation, start, stop } = query();
    stop.mockImplementation(() => Promise.reject(failure));
    const result = cancellable(scope, start, stop);
    scope.cancel();
    await flush();
    expect(unhandled).toEqual([]);
    operation.reject(stopped);
    expect(await rejection(result)).toBe(failure);
  });

  it("stops an operation whose start has cancelled the scope", async () => {
    const scope = createScope();
    const { operation, stop } = query();
    const result = rejection(
      cancellable(
        scope,
        () => {
          scope.cancel();
          return operation.promise;
        },
        stop,
      ),
    );
    expect(stop).toHaveBeenCalledTimes(1);
    expect(await result).toBe(scope.reason);
  });

  it("stop may cancel again, close the scope and start other things", async () => {
    const scope = createScope();
    const { operation, start, stop } = query();
    stop.mockImplementation(() => {
      scope.cancel();
      void scope.close();
      expect(spawn(scope, () => 1).status).toBe("cancelled");
      operation.reject(stopped);
    });
    const result = cancellable(scope, start, stop);
    scope.cancel();
    expect(await rejection(result)).toBe(scope.reason);
  });

  it("starts nothing in a cancelled scope, in a scope that has ended, and in a listener of the cancellation", async () => {
    const { start, stop } = query();
    const cancelled = createScope();
    const inListener: Promise<unknown>[] = [];
    cancelled.signal.addEventListener("abort", () => {
      inListener.push(rejection(cancellable(cancelled, start, stop)));
    });
    cancelled.onCancel(() => void inListener.push(rejection(cancellable(cancelled, start, stop))));
    cancelled.cancel();
    expect(await Promise.all(inListener)).toEqual([cancelled.reason, cancelled.reason]);
    expect(await rejection(cancellable(cancelled, start, stop))).toBe(cancelled.reason);
    const closed = createScope();
    await closed.close();
    expect(await rejection(cancellable(closed, start, stop))).toBeInstanceOf(ScopeClosedError);
    expect(start).not.toHaveBeenCalled();
    expect(stop).not.toHaveBeenCalled();
  });

  it("the loser of a race is stopped, and the race waits for it", async () => {
    const { operation, start, stop } = query();
    stop.mockReturnValue(undefined);
    const scope = createScope();
    const result = race(scope, [(own) => cancellable(own, start, stop), (own) => sleep(own, 10)]);
    await vi.advanceTimersByTimeAsync(10);
    expect(stop).toHaveBeenCalledTimes(1);
    expect(await outcomeOf(result)).toBe("pending");
    operation.reject(stopped);
    expect(await result).toBeUndefined();
  });

  it("is stopped by its own timeout, and rejects with that", async () => {
    const scope = createScope();
    const { start, stop } = query();
    const result = rejection(cancellable(scope, start, stop, { timeout: 100 }));
    await vi.advanceTimersByTimeAsync(100);
    expect(stop).toHaveBeenCalledTimes(1);
    expect(await result).toMatchObject({ kind: "deadline", timeout: 100 });
    const { start: never } = query();
    expect(await rejection(cancellable(scope, never, stop, { timeout: 0 }))).toBeInstanceOf(
      DeadlineExceededError,
    );
    expect(never).not.toHaveBeenCalled();
    expect(scope.state).toBe("open");
  });

  it("has the name of its start function, that of the option, or its own", async () => {
    const scope = createScope({ name: "root", grace: 0 });
    const never = new Promise<never>(() => undefined);
    const stop = (): undefined => undefined;
    void cancellable(scope, () => never, stop);
    void cancellable(
      scope,
      function select() {
        return never;
      },
      stop,
    );
    void cancellable(scope, () => never, stop, { name: "named" });
    const stuck = rejection(scope.close());
    await vi.advanceTimersByTimeAsync(0);
    const { tasks } = (await stuck) as StuckTasksError;
    expect(tasks.map(({ path }) => path)).toEqual(["root/cancellable", "root/select", "root/named"]);
  });

  it("its cancellation is one of the scope that it runs in", async () => {
    const { start, stop } = query();
    const result = rejection(withScope({ timeout: 10 }, (scope) => cancellable(scope, start, stop)));
    await vi.advanceTimersByTimeAsync(10);
    expect(await result).toBeInstanceOf(DeadlineExceededError);
  });

  it("rule 11: it need not be awaited when its scope is cancelled", async () => {
    const scope = createScope();
    const { start, stop } = query();
    void cancellable(scope, start, stop);
    scope.cancel();
    await flush();
    expect(unhandled).toEqual([]);
  });
});
