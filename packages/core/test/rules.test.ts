import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { filesBelow, mentionsIn, namedByTitles, repairLinks, sectionsOf } from "./support/rules.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const page = join(root, "docs/rules.md");
const text = readFileSync(page, "utf8");
const sections = sectionsOf(text);
const numbers = sections.map(({ rule }) => rule);

const UPDATE =
  "in packages/core, run `npx vitest run --project unit test/rules.test.ts -u`, then once more without `-u`";

const testFiles = filesBelow(root, ["packages/core", "packages/examples"], [".test.ts"]);
const tests = namedByTitles(root, testFiles);
const readable = [
  ...filesBelow(root, ["packages", "docs", "scripts"], [".ts", ".mts", ".js", ".mjs", ".md"]),
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
];

describe("docs/rules.md", () => {
  it("has every rule once, in order, and no number is left out", () => {
    expect(numbers).toEqual(Array.from(numbers, (_, index) => index + 1));
    expect(numbers.length).toBeGreaterThanOrEqual(34);
  });

  it.each(numbers)("rule %i is linked in the table of contents", (rule) => {
    expect(text).toContain(`[${rule}](#rule-${rule})`);
  });

  it.each(numbers)("rule %i is named by the title of a test", (rule) => {
    const naming = tests.filter((test) => test.rules.has(rule));
    expect(naming, `put "rule ${rule}: " in front of the title of a test that checks it`).not.toEqual([]);
  });

  it.each(numbers)("rule %i links to tests that name it", (rule) => {
    const linked = sections.find((section) => section.rule === rule)?.tests ?? [];
    const naming = tests.filter((test) => test.rules.has(rule)).map(({ file }) => file);
    const stale = linked.filter((file) => !naming.includes(file));
    expect(
      linked,
      `the section needs a line "Tests: …". These files name rule ${rule}: ${naming.join(", ")}`,
    ).not.toEqual([]);
    expect(
      stale,
      `these linked files do not exist or have no title with "rule ${rule}: ". Correct the links: ${UPDATE}. These files name it: ${naming.join(", ")}`,
    ).toEqual([]);
  });

  it("links to every test file that names a rule, and to no other", async () => {
    // With `-u` vitest writes the corrected page.
    await expect(repairLinks(text, tests), `correct the links: ${UPDATE}`).toMatchFileSnapshot(page);
  });
});

describe("a rule that is named", () => {
  it("exists in docs/rules.md, in titles, comments and documents", () => {
    const mentions = readable
      .filter((file) => !file.endsWith("test/rules.test.ts"))
      .flatMap((file) => mentionsIn(file, readFileSync(join(root, file), "utf8")));
    expect(mentions.length).toBeGreaterThan(100);
    const unknown = mentions.filter(({ rule }) => !numbers.includes(rule));
    expect(unknown, "name a rule of docs/rules.md, or add the rule there").toEqual([]);
  });
});
