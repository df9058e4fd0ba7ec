import { describe as group, expect, it } from "vitest";
import { describe, quotePath } from "./describe.js";

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

group("quotePath()", () => {
  it("quotes every character as JSON does", () => {
    const paths = [
      "",
      "server/GET \u{1f600} é \u2028",
      ...Array.from({ length: 0x110 }, (_, code) => `a${String.fromCharCode(code)}b`),
    ];
    for (const path of [...paths, "\ud7ff", "\ud800", "x\udfff", "\ue000", "\uffff"])
      expect(quotePath(path)).toBe(JSON.stringify(path));
  });

  it("gives only the length of a very long path", () => {
    expect(quotePath("a/".repeat(1_000))).toBe("with a path of 2000 characters");
  });
});
