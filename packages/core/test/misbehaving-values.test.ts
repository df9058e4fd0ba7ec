// oxlint-disable unicorn/no-thenable -- what is tested
import { describe, expect, it } from "vitest";
import { all, createScope, map, select, spawn, withScope } from "../src/index.js";
import { deferred, flush, rejection } from "./support/deferred.js";

// Values of users may call back twice, throw when they are read, or be functions with a `then`. `await` and
// Promise.race are safe from that, and so is bough.

const thenable = (then: (resolve: (value: unknown) => void, reject: (error: unknown) => void) => void) =>
  ({ then }) as unknown as PromiseLike<unknown>;
const failure = new Error("too late");

describe("select()", () => {
  const taken = (promise: PromiseLike<unknown>): Promise<unknown> =>
    withScope(async (scope) => [(await select(scope, { promise })).value]);

  it.each<[string, PromiseLike<unknown>, unknown]>([
    ["calls back twice", thenable((ok) => [ok("first"), ok("second")]), "first"],
    ["rejects after it has resolved", thenable((ok, no) => [ok("first"), no(failure)]), "first"],
    [
      "throws after it has resolved",
      thenable((ok) => {
        ok("first");
        throw failure;
      }),
      "first",
    ],
    ["resolves with a promise", thenable((ok) => ok(Promise.resolve("inner"))), "inner"],
    [
      "resolves with a thenable of the same kind",
      thenable((ok) => ok(thenable((its) => its("inner")))),
      "inner",
    ],
    [
      "is a function",
      Object.assign(() => "called", {
        then: (ok: (value: unknown) => void) => ok("first"),
      }) as unknown as PromiseLike<unknown>,
      "first",
    ],
    [
      "is a promise with a then of its own",
      Object.assign(Promise.resolve("native"), { then: () => undefined }),
      "native",
    ],
  ])("treats a thenable as await does, when it %s", async (_, promise, value) => {
    expect(await taken(promise)).toEqual([value]);
  });

  it.each<[string, PromiseLike<unknown>]>([
    ["rejects twice", thenable((_, no) => [no(failure), no(new Error("again"))])],
    ["resolves after it has rejected", thenable((ok, no) => [no(failure), ok("late")])],
    [
      "throws",
      thenable(() => {
        throw failure;
      }),
    ],
    ["resolves with a promise that rejects", thenable((ok) => ok(Promise.reject(failure)))],
  ])("rejects as await does, when a thenable %s", async (_, promise) => {
    expect(await rejection(taken(promise))).toBe(failure);
  });

  it("chooses one branch when a thenable calls back again in another select", async () => {
    const called = deferred<(value: unknown) => void>();
    const shared = thenable((ok) => called.resolve(ok));
    await withScope(async (scope) => {
      const selections = [select(scope, { shared }), select(scope, { shared })];
      const resolve = await called.promise;
      resolve("first");
      await flush();
      resolve("second");
      expect(await Promise.all(selections)).toEqual([
        { key: "shared", value: "first" },
        { key: "shared", value: "first" },
      ]);
    });
  });
});

/** As `cleanEnv` of envalid makes: throws for every name that it does not know. */
const strict = (known: object): object =>
  new Proxy(known, {
    get(target, key) {
      if (key in target || key === "then" || typeof key === "symbol")
        return Reflect.get(target, key) as unknown;
      throw new ReferenceError(`unknown variable: ${key}`);
    },
  });
const env = strict({ PORT: 1 });
const hostile = new Proxy(
  {},
  {
    get: (_, key) => {
      if (key === "then") return undefined;
      throw failure;
    },
    has: () => {
      throw failure;
    },
    getPrototypeOf: () => {
      throw failure;
    },
  },
);

describe.each([
  ["throws for unknown names", env],
  ["throws whatever is asked", hostile],
])("a proxy that %s", (_, value) => {
  it("rule 3: is a value like any other, whether the worker is async or plain", async () => {
    const same = (result: unknown): boolean => result === value;
    expect(same(await withScope(async () => value))).toBe(true);
    expect(same(await withScope(() => value))).toBe(true);
    const scope = createScope();
    expect(same(await spawn(scope, () => value))).toBe(true);
    expect((await all(scope, [() => value, async () => value])).every(same)).toBe(true);
    expect((await map(scope, [1, 2], (n) => (n === 1 ? value : Promise.resolve(value)))).every(same)).toBe(
      true,
    );
    await scope.close();
  });
});

it("rule 3: a value whose then throws is a failure, whether the worker is async or plain", async () => {
  const value = Object.defineProperty({}, "then", {
    get: () => {
      throw failure;
    },
  });
  expect(await rejection(withScope(async () => value))).toBe(failure);
  expect(await rejection(withScope(() => value))).toBe(failure);
});
