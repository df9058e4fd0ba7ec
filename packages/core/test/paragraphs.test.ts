import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readExports } from "./support/doc-code.js";

const src = new URL("../src/", import.meta.url).pathname;
const exported = new Set([...readExports(src).values()].flatMap((names) => [...names]));

/** The functions that start work, wait for it, or pass it on. */
const folders = ["flow", "streams", "effection"];
const files = ["testing/clock/virtual-clock.ts", "task/with-scope.ts"];

const commented = /\/\*\*((?:(?!\*\/).)*)\*\/\s*export (?:async )?function (\w+)/gs;

function docComments(path: string): [string, string][] {
  const found = readFileSync(join(src, path), "utf8").matchAll(commented);
  return [...found].map(([, comment = "", name = ""]) => [name, comment]);
}

const sources = folders.flatMap((folder) =>
  readdirSync(join(src, folder), { recursive: true, encoding: "utf8" }).map((file) => join(folder, file)),
);
const functions = [...sources, ...files]
  .filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts"))
  .flatMap(docComments)
  .filter(([name]) => exported.has(name));

describe("the doc comment of a function that waits", () => {
  it("is found", () => {
    expect(functions.map(([name]) => name)).toEqual(
      expect.arrayContaining([
        "all",
        "checkpoint",
        "createChannel",
        "select",
        "shield",
        "pipe",
        "useOperation",
      ]),
    );
  });

  it.each(functions)(
    "has a paragraph about cancellation, one about failure, and an example: %s",
    (_, comment) => {
      for (const part of ["**Cancellation:**", "**Failure:**", "@example"]) expect(comment).toContain(part);
    },
  );
});
