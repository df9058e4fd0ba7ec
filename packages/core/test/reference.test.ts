import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { format, resolveConfig } from "prettier";
import { describe, expect, it } from "vitest";
import { readExports } from "./support/doc-code.js";
import { parseComment, firstSentence } from "./support/reference/comments.js";
import { readEntries } from "./support/reference/declarations.js";
import { gapsOf } from "./support/reference/gaps.js";
import { indexOf, pageOf, readReference, UPDATE } from "./support/reference/pages.js";
import { codesOf, errorsPage, kindsOf, kindsPage } from "./support/reference/tables.js";
import { filesBelow } from "./support/rules.js";

const core = fileURLToPath(new URL("..", import.meta.url));
const folder = join(core, "../../docs/reference");
const entries = readEntries(core);
const reference = readReference(entries, readExports(join(core, "src")));

const pages: ReadonlyMap<string, () => string> = new Map([
  ["README.md", () => indexOf(reference)],
  ["errors.md", () => errorsPage(reference, core)],
  ["cancel-kinds.md", () => kindsPage(reference, core)],
  ...entries.map((entry) => [`${entry.page}.md`, () => pageOf(reference, entry)] as const),
]);

const sources = filesBelow(core, ["src"], [".ts"])
  .filter((path) => !path.endsWith(".test.ts"))
  .map((path) => [path, readFileSync(join(core, path), "utf8")] as const);

describe("docs/reference", () => {
  it.each([...pages])("is made from the doc comments: %s", async (name, write) => {
    const options = await resolveConfig(join(folder, name));
    const page = await format(write(), { ...options, parser: "markdown" });
    // With `-u` vitest writes the page.
    await expect(page, `the page is stale: in packages/core, run \`${UPDATE}\``).toMatchFileSnapshot(
      join(folder, name),
    );
  });

  it("has no other page", () => {
    expect(readdirSync(folder).filter((name) => !pages.has(name))).toEqual([]);
  });
});

describe("the doc comments of the exports", () => {
  it("describe each symbol, parameter, result and option", () => {
    expect(gapsOf(reference)).toEqual([]);
  });

  it("are taken apart into text and tags, and code is left alone", () => {
    const comment = parseComment(
      "/**\n * Waits.\n * Then goes on.\n *\n * @param ms - How long.\n *   In ms.\n * @example\n * ```ts\n * @decorated\n * ```\n */",
    );
    expect(comment.text).toBe("Waits.\nThen goes on.");
    expect(comment.tags).toEqual([
      { name: "param", text: "ms - How long.\n  In ms." },
      { name: "example", text: "```ts\n@decorated\n```" },
    ]);
    expect(firstSentence(comment.text)).toBe("Waits.");
  });
});

describe("the tables", () => {
  const codes = [...codesOf(core, "BoughErrorCode"), ...codesOf(core, "BoughWarningCode")];

  it.each(codes)("say what raises $value, which is raised", ({ value, text }) => {
    expect(text).not.toBe("");
    const raising = sources.filter(
      ([path, code]) => !path.endsWith("codes.ts") && code.includes(`"${value}"`),
    );
    expect(raising.map(([path]) => path)).not.toEqual([]);
  });

  it.each(kindsOf(core))("say what raises the kind $value, which is raised", ({ value, text }) => {
    expect(text).not.toBe("");
    const raising = sources.filter(
      ([path, code]) => !path.endsWith("errors/cancelled.ts") && code.includes(`"${value}"`),
    );
    expect(raising.map(([path]) => path)).not.toEqual([]);
  });

  it("have every code and every kind", () => {
    expect(codes.length).toBeGreaterThan(25);
    expect(kindsOf(core).map(({ value }) => value)).toEqual([
      "explicit",
      "deadline",
      "failure",
      "signal",
      "closed",
      "orphaned",
      "disconnected",
      "shutdown",
    ]);
    for (const { value } of codes) expect(errorsPage(reference, core)).toContain(`\`${value}\``);
  });
});
