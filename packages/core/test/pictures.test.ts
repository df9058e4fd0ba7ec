import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { draw, images, sources } from "../../../scripts/pictures.mjs";
import { filesBelow } from "./support/rules.js";

const names = readdirSync(sources).map((file) => file.replace(/\.txt$/, ""));
const pageNames = filesBelow(join(images, "../.."), ["."], [".md"]);
const pages = pageNames.map((page) => readFileSync(join(images, "../..", page), "utf8")).join("\n");

describe("the pictures of the guide", () => {
  it("have one text file each", () => {
    expect(names.length).toBeGreaterThan(4);
    expect(readdirSync(images).toSorted()).toEqual(names.map((name) => `${name}.svg`).toSorted());
  });

  it.each(names)("%s is what its text file describes", (name) => {
    const drawn = draw(readFileSync(join(sources, `${name}.txt`), "utf8"));
    expect(readFileSync(join(images, `${name}.svg`), "utf8"), "run `npm run pictures`").toBe(drawn);
  });

  it.each(names)(
    "%s is shown on a page, has a text alternative, and follows a dark colour scheme",
    (name) => {
      const svg = readFileSync(join(images, `${name}.svg`), "utf8");
      expect(pages).toMatch(new RegExp(`!\\[[^\\]]{20,}\\]\\([\\w./]*images/${name}\\.svg\\)`));
      expect(svg).toContain("prefers-color-scheme:dark");
      expect(/<desc id="description">([^<]+)</.exec(svg)?.[1]?.length).toBeGreaterThan(40);
    },
  );

  it("the script refuses a text file of an unknown kind", () => {
    expect(() => draw("kind: painting\n")).toThrow(
      "kind: must be one of tree, states, timeline, not painting",
    );
  });
});
