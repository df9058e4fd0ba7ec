import { describe, expect, it } from "vitest";
import { bars, columnOf } from "./graph.js";

describe("bars()", () => {
  it("draws bars of eight steps a row", () => {
    expect(bars([0, 1, 8, 9, 16], 16, 10, 2)).toEqual(["   ▁█", " ▁███"]);
  });

  it("shows a value that is almost zero", () => {
    expect(bars([0, 0.001], 1_000, 10, 1)).toEqual([" ▁"]);
  });

  it("draws values closer together where there is no room, and loses no peak", () => {
    expect(bars([0, 8, 0, 0, 0, 4], 8, 3, 1)).toEqual(["█ ▄"]);
  });

  it("draws nothing when there is nothing", () => {
    expect(bars([], 0, 10, 2)).toEqual(["", ""]);
    expect(bars([0, 0], 0, 10, 1)).toEqual(["  "]);
  });
});

describe("columnOf()", () => {
  it("stays where it is while there is room", () => {
    expect([0, 4, 9].map((index) => columnOf(index, 10, 10))).toEqual([0, 4, 9]);
  });

  it("stays within the columns when there is none", () => {
    expect([0, 50, 99].map((index) => columnOf(index, 100, 10))).toEqual([0, 5, 9]);
  });
});
