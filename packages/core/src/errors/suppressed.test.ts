import { afterEach, describe, expect, it, vi } from "vitest";
import {
  all,
  any,
  createScope,
  retry,
  sleep,
  spawn,
  suppressed,
  withScope,
  type Scope,
  type Worker,
} from "../index.js";
import { deferred, flush, rejection } from "../../test/support/deferred.js";

/** A body that fails with `first`, and whose cleanup then fails with `later`. */
const failing =
  (first: unknown, later: unknown): Worker<never> =>
  (scope) => {
    scope.defer(() => {
      throw later;
    });
    throw first;
  };

describe("suppressed()", () => {
  const errors = (): readonly Error[] => Array.from({ length: 5 }, (_, index) => new Error(String(index)));

  it("is empty for a value that was never thrown", () => {
    expect(suppressed(new Error("fresh"))).toEqual([]);
  });

  it("returns a new list: changing it changes nothing", async () => {
    const [error, later] = errors();
    await rejection(withScope(failing(error, later)));
    (suppressed(error) as unknown[]).push("intruder");
    expect(suppressed(error)).toEqual([later]);
  });

  it("works for functions and frozen objects, which can be thrown, too", async () => {
    const [later] = errors();
    for (const error of [Object.freeze(new Error("frozen")), () => "function"]) {
      await rejection(withScope(failing(error, later)));
      expect(suppressed(error)).toEqual([later]);
    }
  });

  it("rule 10: is empty for primitives", async () => {
    for (const primitive of ["text", 1, null, undefined, Symbol("s")]) {
      await rejection(withScope(failing(primitive, new Error("later"))));
      expect(suppressed(primitive)).toEqual([]);
    }
  });

  describe("of an error on its way up", () => {
    it("rule 10: accumulates over nested scopes, each failure once", async () => {
      const [error, inner, middle, outer] = errors();
      const outcome = withScope((scope) => {
        scope.defer(() => {
          throw outer;
        });
        return withScope(scope, (own) => {
          own.defer(() => {
            throw middle;
          });
          own.defer(() => {
            throw inner; // once more
          });
          return withScope(own, failing(error, inner));
        });
      });
      expect(await rejection(outcome)).toBe(error);
      expect(suppressed(error)).toEqual([inner, middle, outer]);
    });

    it("rule 10: accumulates when it passes a task, a sibling task and a handle", async () => {
      const [error, inner, task, outer] = errors();
      const outcome = withScope(async (scope) => {
        scope.defer(() => {
          throw outer;
        });
        const handle = createScope(scope);
        const failed = withScope(handle, failing(error, inner));
        spawn(scope, async (own) => {
          own.defer(() => {
            throw task;
          });
          await failed;
        });
      });
      expect(await rejection(outcome)).toBe(error);
      expect(suppressed(error)).toEqual([inner, task, outer]);
    });

    it("rule 10: accumulates when a cleanup takes some time before the error propagates", async () => {
      const [error, inner, outer] = errors();
      const outcome = withScope(async (scope) => {
        scope.defer(() => {
          throw outer;
        });
        try {
          await withScope(scope, failing(error, inner));
        } finally {
          await flush();
        }
      });
      expect(await rejection(outcome)).toBe(error);
      expect(suppressed(error)).toEqual([inner, outer]);
    });

    it("rule 10: accumulates over a root inside a root, even if the outer one has no other failure", async () => {
      const [error, inner] = errors();
      const outcome = withScope(async () => {
        try {
          await withScope(failing(error, inner));
        } finally {
          await flush();
        }
      });
      expect(await rejection(outcome)).toBe(error);
      expect(suppressed(error)).toEqual([inner]);
    });

    it("rule 10: accumulates from a combinator that runs in another scope than the one that awaits it", async () => {
      const [error, inner, outer] = errors();
      const elsewhere = createScope();
      const beside = withScope(async (scope) => {
        scope.defer(() => {
          throw outer;
        });
        await all(elsewhere, [failing(error, inner)]);
      });
      expect(await rejection(beside)).toBe(error);
      expect(suppressed(error)).toEqual([inner, outer]);
      await elsewhere.close();
    });

    it("rule 10: is as long as the tree is deep", async () => {
      const error = new Error("first");
      const nest = (scope: Scope, depth: number): Promise<unknown> =>
        withScope(scope, async (own) => {
          own.defer(() => {
            throw new Error(String(depth));
          });
          if (depth === 0) throw error;
          await nest(own, depth - 1);
        });
      expect(await rejection(withScope((scope) => nest(scope, 1_000)))).toBe(error);
      expect(suppressed(error).map((later) => (later as Error).message)).toEqual(
        Array.from({ length: 1_001 }, (_, depth) => String(depth)),
      );
    });
  });

  describe("of one object that is thrown many times", () => {
    afterEach(() => void vi.useRealTimers());

    const NOT_FOUND = new Error("not found");

    it("rule 10: lists the failures of the last scope only, and none of a scope that failed once", async () => {
      for (let request = 0; request < 100; request++) {
        const later = new Error(`the cleanup of request ${request}`);
        await rejection(withScope(failing(NOT_FOUND, later)));
        expect(suppressed(NOT_FOUND)).toEqual([later]);
      }
      await rejection(withScope(() => Promise.reject(NOT_FOUND)));
      expect(suppressed(NOT_FOUND)).toEqual([]);
    });

    it("lists only the last when they are siblings in one scope", async () => {
      await withScope(async (server) => {
        for (let request = 0; request < 10; request++) {
          const later = new Error(`the cleanup of request ${request}`);
          await rejection(withScope(server, failing(NOT_FOUND, later)));
          expect(suppressed(NOT_FOUND)).toEqual([later]);
        }
        await rejection(withScope(server, () => Promise.reject(NOT_FOUND)));
        expect(suppressed(NOT_FOUND)).toEqual([]);
      });
    });

    it.each([
      ["roots", false],
      ["children of one scope", true],
    ])("lists for each of %s its own failures when they run at once", async (_, below) => {
      vi.useFakeTimers({ toFake: ["Date", "performance", "setTimeout"] }); // a root that is older might await the others
      const constant = new Error("a constant of this test");
      const gates = Array.from({ length: 5 }, () => deferred());
      const order = [3, 0, 4, 1, 2];
      await withScope(async (server) => {
        const seen = gates.map(async (gate, index) => {
          const later = new Error(`the cleanup of request ${index}`);
          const body: Worker<never> = async (scope) => {
            scope.defer(() => {
              throw later;
            });
            await gate.promise;
            throw constant;
          };
          await rejection(below ? withScope(server, body) : withScope(body));
          expect(suppressed(constant)).toEqual([later]);
        });
        for (const index of order) {
          gates[index]?.resolve();
          await flush();
        }
        await Promise.all(seen);
      });
    });

    it("does not list failures of other scopes that await the same cached rejection", async () => {
      const [error, inner] = errors();
      const cached = withScope(failing(error, inner));
      expect(await rejection(cached)).toBe(error);
      for (let request = 0; request < 10; request++) {
        await rejection(withScope(() => cached));
        expect(suppressed(error)).toEqual([]);
      }
    });

    it("lists no failures of others when retryIf throws it, or a task or a combinator fails with it", async () => {
      const [attempt] = errors();
      const options = {
        retryIf: () => {
          throw NOT_FOUND;
        },
      };
      for (let count = 0; count < 3; count++) {
        await rejection(withScope((scope) => retry(scope, () => Promise.reject(attempt), options)));
        expect(suppressed(NOT_FOUND)).toEqual([attempt]);
        await rejection(withScope((scope) => void spawn(scope, () => Promise.reject(NOT_FOUND))));
        expect(suppressed(NOT_FOUND)).toEqual([]);
      }
    });
  });

  it("rule 22: keeps the ignored failures with the reason of one cancellation, wherever it was", async () => {
    const [first, second] = errors();
    const scope = createScope();
    const outcomes = [first, second].map((error) =>
      rejection(any(scope, [() => Promise.reject(error), (own: Scope) => sleep(own, 60_000)])),
    );
    await flush();
    scope.cancel();
    await Promise.all(outcomes);
    expect(suppressed(scope.reason)).toEqual([first, second]);
  });

  it("rule 12: a failure of an inner scope stays a failure in an outer scope that was cancelled since", async () => {
    const windingUp = deferred();
    const error = new DOMException("aborted", "AbortError");
    const scope = createScope();
    const task = spawn(scope, (own) =>
      withScope(own, (inner) => {
        inner.defer(() => windingUp.promise);
        throw error;
      }),
    );
    await flush();
    scope.cancel();
    windingUp.resolve();
    expect(await rejection(scope.close())).toBe(error);
    expect(task.status).toBe("failed");
  });

  it("rule 12: the separate cancellation of a scope inside is not a failure of a cancelled scope", async () => {
    const scope = createScope();
    const passed = new Error("passed over");
    const task = spawn(scope, (own) =>
      withScope(own, async (inner) => {
        own.onCancel(() => undefined);
        const waiting = any(inner, [() => Promise.reject(passed), (loser: Scope) => sleep(loser, 60_000)]);
        await flush();
        inner.cancel();
        scope.cancel();
        await waiting;
      }),
    );
    await flush();
    await flush();
    await scope.close();
    expect(task.status).toBe("cancelled");
  });
});
