import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const page = readFileSync(new URL("../../../docs/guide/getting-started.md", import.meta.url), "utf8");
const example = new URL("../src/first-service/", import.meta.url);
const blocks = [...page.matchAll(/^```ts file=src\/(\S+)\n(.*?)^```$/gms)].map(
  ([, file = "", code = ""]) => ({
    file,
    code,
  }),
);

describe("the files of Getting started", () => {
  it.each(blocks)("$file is the file of the example first-service", ({ file, code }) => {
    expect(code).toBe(readFileSync(new URL(file, example), "utf8"));
  });

  it("are all files of the example", () => {
    const files = readdirSync(example).filter((file) => file.endsWith(".ts"));
    expect(blocks.map(({ file }) => file).toSorted()).toEqual(files.toSorted());
  });
});
