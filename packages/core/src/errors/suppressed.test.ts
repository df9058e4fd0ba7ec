import { describe, expect, it } from "vitest";
import { suppressed, suppressLater } from "./suppressed.js";

describe("suppressed()", () => {
  const [first, second, third] = [new Error("1"), new Error("2"), new Error("3")] as const;

  it("is empty for what was never thrown", () => {
    expect(suppressed(new Error("fresh"))).toEqual([]);
  });

  it("rule 23: accumulates over every scope that rejected with the error, each once", () => {
    suppressLater([first, second]);
    suppressLater([first, second, third]);
    expect(suppressed(first)).toEqual([second, third]);
    expect(suppressed(second)).toEqual([]);
  });

  it("returns a list of its own: changing it changes nothing", () => {
    const error = new Error("of its own");
    suppressLater([error, second]);
    (suppressed(error) as unknown[]).push("intruder");
    expect(suppressed(error)).toEqual([second]);
  });

  it("works for functions and frozen objects, which can be thrown, too", () => {
    const thrown = [Object.freeze(new Error("frozen")), () => "function"];
    for (const error of thrown) {
      suppressLater([error, second]);
      expect(suppressed(error)).toEqual([second]);
    }
  });

  it("rule 23: is empty for primitives", () => {
    for (const primitive of ["text", 1, null, undefined, Symbol("s")]) {
      suppressLater([primitive, second]);
      expect(suppressed(primitive)).toEqual([]);
    }
  });
});
