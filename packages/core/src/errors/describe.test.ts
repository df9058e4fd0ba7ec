import { describe as group, expect, it } from "vitest";
import { describe } from "./describe.js";

group("describe()", () => {
  const throwing = new Proxy(
    {},
    {
      get: () => {
        throw new Error("trap");
      },
      getPrototypeOf: () => {
        throw new Error("trap");
      },
    },
  );
  const cases: readonly [unknown, string][] = [
    ["text", '"text"'],
    ["two\nlines", '"two\\nlines"'],
    [1.5, "1.5"],
    [NaN, "NaN"],
    [10n, "10n"],
    [undefined, "undefined"],
    [null, "null"],
    [true, "true"],
    [Symbol("s"), "Symbol(s)"],
    [function named() {}, "function named"],
    [
      (
        () => () =>
          1
      )(),
      "an anonymous function",
    ],
    [[1, 2], "an array of 2"],
    [{}, "a plain object"],
    [Object.create(null), "a plain object"],
    [new Map(), "an instance of Map"],
    [throwing, "a plain object"],
    [revoked(), "an object"],
  ];
  for (const [value, expected] of cases) {
    it(`says ${expected}`, () => expect(describe(value)).toBe(expected));
  }

  it("is short, however long the value is", () => {
    expect(describe("x".repeat(10_000)).length).toBeLessThan(100);
    expect(
      describe(Object.defineProperty(() => 1, "name", { value: "x".repeat(10_000) })).length,
    ).toBeLessThan(100);
  });
});

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
