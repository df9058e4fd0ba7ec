import {
  call,
  resource,
  sleep as effectionSleep,
  spawn as effectionSpawn,
  suspend,
  until,
  type Operation,
} from "effection";
import { describe, expect, it } from "vitest";
import { deferred, outcomeOf, rejection } from "../../test/support/deferred.js";
import { untilCancelled } from "../../test/support/until-cancelled.js";
import { createScope, ScopeClosedError, spawn, withScope, type Scope } from "../index.js";
import { boughScope, useOperation } from "./index.js";

const error = new Error("boom");

function useLogged(log: unknown[], name = "resource"): Operation<string> {
  return resource(function* (provide) {
    log.push(`${name} opens`);
    try {
      yield* provide(name);
    } finally {
      log.push(`${name} closes`);
    }
  });
}

describe("useOperation()", () => {
  it("keeps a resource until the scope ends, after its children and in turn with its defers", async () => {
    const log: unknown[] = [];
    await withScope(async (scope) => {
      scope.defer(() => log.push("first defer"));
      log.push(await useOperation(scope, () => useLogged(log)));
      scope.defer(() => log.push("last defer"));
      spawn(scope, async (own) => {
        own.defer(() => log.push("child ends"));
      });
    });
    expect(log).toEqual([
      "resource opens",
      "resource",
      "child ends",
      "last defer",
      "resource closes",
      "first defer",
    ]);
  });

  it("is torn down when the scope is cancelled, with the reason within reach, and awaited", async () => {
    const gate = deferred();
    const seen: unknown[] = [];
    const scope = createScope();
    await useOperation(scope, () =>
      resource<number>(function* (provide) {
        try {
          yield* provide(1);
        } finally {
          seen.push((yield* boughScope.expect()).reason);
          yield* until(gate.promise);
        }
      }),
    );
    scope.cancel("why");
    const closed = scope.close();
    expect(await outcomeOf(closed)).toBe("pending");
    expect(seen).toEqual([scope.reason]);
    gate.resolve();
    await closed;
  });

  it("an error before there is a value rejects only the caller's promise, with the same object", async () => {
    const scope = createScope();
    const failing = function* (): Operation<never> {
      yield* effectionSleep(0);
      throw error;
    };
    expect(await rejection(useOperation(scope, failing))).toBe(error);
    expect([scope.state, scope.errors]).toEqual(["open", []]);
    await scope.close();
  });

  it("makes a later error of a running task a failure of the scope", async () => {
    const scope = createScope();
    const gate = deferred();
    await useOperation(scope, function* () {
      yield* effectionSpawn(function* () {
        yield* until(gate.promise);
      });
      return 1;
    });
    const stopped = rejection(spawn(scope, untilCancelled));
    gate.reject(error);
    expect(await stopped).toMatchObject({ kind: "failure", cause: error });
    expect(await rejection(scope.join())).toBe(error);
  });

  it("makes an error of the tear-down a failure of the scope", async () => {
    const scope = createScope();
    await useOperation(scope, () =>
      resource<number>(function* (provide) {
        try {
          yield* provide(1);
        } finally {
          // oxlint-disable-next-line no-unsafe-finally -- that is what is tested
          throw error;
        }
      }),
    );
    expect(await rejection(scope.close())).toBe(error);
  });

  it("is halted when the scope is cancelled before there is a value, and rejects with the reason after that", async () => {
    const log: string[] = [];
    const gate = deferred();
    const scope = createScope();
    const used = useOperation(scope, function* () {
      try {
        yield* suspend();
      } finally {
        yield* until(gate.promise);
        log.push("torn down");
      }
    });
    scope.cancel();
    expect(await outcomeOf(used)).toBe("pending");
    gate.resolve();
    expect(await rejection(used)).toBe(scope.reason);
    expect(log).toEqual(["torn down"]);
    await scope.close();
  });

  it("starts nothing in a scope that is cancelled or has ended, nor for bad arguments", async () => {
    let calls = 0;
    const operation = (): Operation<number> => {
      calls += 1;
      return call(() => calls);
    };
    const scope = createScope();
    scope.cancel();
    expect(await rejection(useOperation(scope, operation))).toBe(scope.reason);
    const closed = createScope();
    await closed.close();
    expect(await rejection(useOperation(closed, operation))).toBeInstanceOf(ScopeClosedError);
    expect(await rejection(useOperation({} as Scope, operation))).toBeInstanceOf(TypeError);
    const open = createScope();
    expect(await rejection(useOperation(open, 1 as never))).toBeInstanceOf(TypeError);
    await open.close();
    expect(calls).toBe(0);
  });
});
