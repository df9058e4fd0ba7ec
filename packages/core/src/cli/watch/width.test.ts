import { describe, expect, it } from "vitest";
import { cut, fit, widthOf } from "./width.js";

describe("the width of a text on a terminal", () => {
  it.each([
    ["", 0],
    ["orders", 6],
    ["größe", 5],
    ["e\u0301", 1],
    ["漢字", 4],
    ["한국", 4],
    ["ｆｕｌｌ", 8],
    ["🙂", 2],
    ["👩‍👩‍👧", 2],
    ["❤️", 2],
    ["🇩🇪", 2],
    ["└─ a", 4],
    ["▾ …", 3],
  ])("%j is %i columns wide", (text, columns) => {
    expect(widthOf(text)).toBe(columns);
  });

  it.each([
    ["orders", 6, "orders"],
    ["orders", 5, "orde…"],
    ["orders", 1, "…"],
    ["orders", 0, ""],
    ["漢字", 4, "漢字"],
    ["漢字", 3, "漢…"],
    ["漢字", 2, "…"],
    ["e\u0301e\u0301e\u0301", 2, "e\u0301…"],
  ])("%j in %i columns: %j", (text, columns, short) => {
    expect(cut(text, columns)).toBe(short);
    expect(widthOf(cut(text, columns))).toBeLessThanOrEqual(columns);
  });

  it("pads a text to the width, also if half of a wide character does not fit", () => {
    expect(fit("漢字", 3)).toBe("漢…");
    expect(fit("漢字漢", 4)).toBe("漢… ");
    expect(fit("12", 4, "right")).toBe("  12");
  });

  it("does not read all of a very long name", () => {
    expect(cut("漢".repeat(10_000_000), 5)).toBe("漢漢…");
  });
});
