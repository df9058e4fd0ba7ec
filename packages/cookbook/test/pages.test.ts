import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, relative } from "node:path";
import { describe, expect, it } from "vitest";
import {
  anchorOf,
  linksOfIndex,
  pages,
  questionsOf,
  recipesFolder,
  root,
  shownIn,
  withContents,
} from "../support/pages.js";

const UPDATE = "in packages/cookbook, run `npx vitest run test/pages.test.ts -u`";
const files = readdirSync(recipesFolder, { recursive: true, encoding: "utf8" });
const recipes = files.filter((file) => /\.\w+$/.test(file) && !file.endsWith(".test.ts"));

describe("the cookbook", () => {
  it.each(pages.map((page) => [relative(root, page), page]))(
    "shows the code that is tested: %s",
    async (_, page) => {
      // With `-u` vitest writes the corrected page.
      await expect(withContents(readFileSync(page, "utf8")), `${UPDATE}`).toMatchFileSnapshot(page);
    },
  );

  it("shows every recipe, each once", () => {
    const shown = pages.flatMap((page) => shownIn(readFileSync(page, "utf8")));
    expect(shown.toSorted()).toEqual(recipes.toSorted());
  });

  it.each(recipes)("has a test of %s", (recipe) => {
    const name = basename(recipe).replace(/\.\w+$/, ".js");
    const tests = files.filter((file) => file.endsWith(".test.ts"));
    const naming = tests.filter((file) => {
      const text = readFileSync(`${recipesFolder}${file}`, "utf8");
      const isBeside = dirname(file) === dirname(recipe);
      return (isBeside && text.includes(`./${name}"`)) || text.includes(`"${recipe}"`);
    });
    expect(naming).not.toEqual([]);
  });

  it("leads from its index to each question, and to no other", () => {
    const questions = pages.flatMap((page) => questionsOf(page).map((heading) => anchorOf(page, heading)));
    expect(linksOfIndex().toSorted()).toEqual(questions.toSorted());
  });
});
