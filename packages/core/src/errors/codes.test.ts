import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const src = new URL("../", import.meta.url).pathname;
// Not the names of symbols, such as Symbol("BOUGH_OPTIONS").
const quoted = /(?<!Symbol\()"(BOUGH_[A-Z_]+)"/g;

function codesIn(text: string): string[] {
  return [...text.matchAll(quoted)].map(([, code = ""]) => code);
}

const listed = codesIn(readFileSync(join(src, "errors/codes.ts"), "utf8"));
const sources = readdirSync(src, { recursive: true, encoding: "utf8" }).filter(
  (path) => path.endsWith(".ts") && !path.endsWith(".test.ts") && path !== join("errors", "codes.ts"),
);
const used = new Set(sources.flatMap((path) => codesIn(readFileSync(join(src, path), "utf8"))));

describe("the list of error codes", () => {
  it.each([...new Set(listed)])("has no code that nothing raises: %s", (code) => {
    expect(used).toContain(code);
  });

  it("has every code that a source file names, except the environment variable", () => {
    expect([...used].filter((code) => code !== "BOUGH_TRACE" && !listed.includes(code))).toEqual([]);
  });

  it("says what raises each code", () => {
    const lines = readFileSync(join(src, "errors/codes.ts"), "utf8").split("\n");
    const without = lines.filter(
      (line, at) => /^ {2}\| "BOUGH_/.test(line) && !/^ {2}\/\*\* .*\*\/$/.test(lines[at - 1] ?? ""),
    );
    expect(without).toEqual([]);
  });
});
