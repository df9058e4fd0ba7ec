import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyDocs, repositoryOf } from "../scripts/copy-docs.mjs";
import { anchorsOf, brokenBecause, linksOf } from "./support/links.js";
import { filesBelow } from "./support/rules.js";

const core = fileURLToPath(new URL("..", import.meta.url));
const root = join(core, "../..");
const pages = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  ...filesBelow(root, ["docs", "packages"], [".md"]).filter(
    // Copies, which are made when the package is packed.
    (page) => !/^packages\/core\/(README|docs)\b/.test(page),
  ),
];
const broken = (folder: string, page: string): string[] =>
  linksOf(folder, page).flatMap((link) => {
    const reason = brokenBecause(folder, link);
    return reason === undefined ? [] : [`${link.place}: ${reason}`];
  });

describe("a link of the documentation", () => {
  it("is found", () => {
    expect(pages.flatMap((page) => linksOf(root, page)).length).toBeGreaterThan(200);
  });

  it.each(pages)("leads to a file, and to a heading that the file has: %s", (page) => {
    expect(broken(root, page)).toEqual([]);
  });

  it("leads to a page that exists when it is in a comment of the sources", () => {
    const sources = filesBelow(root, ["packages/core", "packages/examples"], [".ts", ".mjs"]);
    const wrong = sources.flatMap((file) =>
      [...readFileSync(join(root, file), "utf8").matchAll(/\bdocs\/[\w/-]+\.md(?:#[\w-]+)?/g)]
        .filter(([address]) => brokenBecause(root, { place: "README.md:1", address }) !== undefined)
        .map(([address]) => `${file}: ${address}`),
    );
    expect(wrong).toEqual([]);
  });

  it("is reported when it leads nowhere", () => {
    const at = (address: string): string | undefined =>
      brokenBecause(root, { place: "docs/rules.md:1", address });
    expect(at("#rule-3")).toBeUndefined();
    expect(at("#no-such-rule")).toContain("no heading");
    expect(at("no-such-page.md")).toContain("does not exist");
    expect(at("../../elsewhere.md")).toContain("leaves the folder");
    expect([...anchorsOf("# A `b()`: c\n## D\n## D\n")]).toEqual(["a-b-c", "d", "d-1"]);
  });
});

describe("the documentation in the package", () => {
  const manifest = JSON.parse(readFileSync(join(core, "package.json"), "utf8")) as object;
  let folder: string;
  let packed: string[];

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "bough-docs-"));
    copyDocs(root, folder, repositoryOf(manifest));
    packed = ["README.md", ...filesBelow(folder, ["docs"], [".md"])];
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("has every page but the notes for maintainers", () => {
    const pagesOfUsers = pages.filter(
      (page) => page.startsWith("docs/") && !page.startsWith("docs/maintainers/"),
    );
    expect(packed.toSorted()).toEqual(["README.md", ...pagesOfUsers].toSorted());
    expect(existsSync(join(folder, "docs/maintainers"))).toBe(false);
  });

  it("has no link that leaves the package", () => {
    expect(packed.flatMap((page) => broken(folder, page))).toEqual([]);
  });

  it("leads to the repository for files that are not in the package", () => {
    const second = mkdtempSync(join(tmpdir(), "bough-docs-"));
    try {
      copyDocs(
        root,
        second,
        repositoryOf({ repository: { url: "git+https://example.org/bough/bough.git" } }),
      );
      expect(readFileSync(join(second, "docs/rules.md"), "utf8")).toContain(
        "](https://example.org/bough/bough/blob/HEAD/packages/core/src/kernel/lifecycle.test.ts)",
      );
      expect(
        ["README.md", ...filesBelow(second, ["docs"], [".md"])].flatMap((page) => broken(second, page)),
      ).toEqual([]);
    } finally {
      rmSync(second, { recursive: true, force: true });
    }
  });
});
