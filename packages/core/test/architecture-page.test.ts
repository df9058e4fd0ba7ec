import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { filesBelow } from "./support/rules.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const src = fileURLToPath(new URL("../src", import.meta.url));
const page = readFileSync(new URL("../../../ARCHITECTURE.md", import.meta.url), "utf8");
const sources = filesBelow(src, ["."], [".ts"]).filter((path) => !path.endsWith(".test.ts"));

/** The diagrams and tables of the page that are drawn with characters. */
const drawings = [...page.matchAll(/^```text\n(.*?)^```/gms)].map((match) => match[1] ?? "");
const drawingWith = (name: string): string => drawings.find((drawing) => drawing.includes(name)) ?? "";

/** The files that the rows of a diagram are about. Three spaces separate them from their description. */
function namesOfRows(drawing: string): string[] {
  const rows = drawing.split("\n").map((row) => row.replace(/^[\s│├└─▼]+/, ""));
  return rows.flatMap((row) => row.split(/ {3,}/)[0]?.split(/ +/) ?? []).filter((name) => name !== "");
}

describe("ARCHITECTURE.md", () => {
  it("names files that exist", () => {
    const named = [...page.matchAll(/[\w./-]*\w\.ts\b/g)].map(([path]) => path);
    expect(named).toContain("packages/core/src/kernel/node.ts");
    const missing = named.filter(
      (path) => !existsSync(`${root}/${path}`) && !sources.some((file) => `/${file}`.endsWith(`/${path}`)),
    );
    expect(missing).toEqual([]);
  });

  it("names every folder of the sources in the table of layers", () => {
    const table = page.slice(page.indexOf("## Layers"), page.indexOf("## The kernel"));
    const folders = readdirSync(src, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const missing = folders.filter(
      ({ name }) => !table.includes(`\`${name}\``) && !table.includes(`\`${name}/`),
    );
    expect(missing.map(({ name }) => name)).toEqual([]);
  });

  it("has a diagram of the kernel with each of its files, and no other", () => {
    const files = sources.filter((file) => file.startsWith("kernel/")).map((file) => basename(file, ".ts"));
    expect(namesOfRows(drawingWith("scope-view   ")).toSorted()).toEqual(files.toSorted());
  });

  it.each([
    ["http", "server-scope   "],
    ["web", "web/fetch-bough"],
    ["remote", "owner-lease"],
  ])("has a diagram with each file of %s", (folder, name) => {
    const drawing = drawingWith(name);
    const files = sources.filter((file) => new RegExp(`^${folder}/[\\w-]+\\.ts$`).test(file));
    const missing = files
      .map((file) => basename(file, ".ts"))
      .filter((file) => file !== "index" && !new RegExp(`(?<![\\w-])${file}(?![\\w-])`).test(drawing));
    expect(missing).toEqual([]);
  });

  it("describes the steps of a spawn and of a cancel with functions that exist in the named files", () => {
    const steps = drawings
      .filter((drawing) => /^ step +file +what happens/.test(drawing))
      .flatMap((drawing) => [...drawing.matchAll(/^ {1,9}(\S.*?) {2,}([\w-]+\/[\w-]+)(?: |$)/gm)]);
    expect(steps.length).toBeGreaterThan(15);
    const wrong = steps.filter(([, step = "", file = ""]) => {
      const names = step.replace(/\(.*$|^new /g, "").split(" / ");
      const text = sources.includes(`${file}.ts`) ? readFileSync(`${src}/${file}.ts`, "utf8") : "";
      return !names.every((name) => new RegExp(`\\b${name.replace(/^.*\./, "")}\\b`).test(text));
    });
    expect(wrong.map(([row]) => row)).toEqual([]);
  });
});
