import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

it("no two flags of a node are the same bit", () => {
  const text = readFileSync(new URL("state.ts", import.meta.url), "utf8");
  const bits = [...text.matchAll(/^const \w+: number = 1 << (\d+);$/gm)].map(([, bit]) => bit);
  expect(bits.length).toBeGreaterThan(25);
  expect(new Set(bits).size).toBe(bits.length);
});
