import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const folder = new URL("../", import.meta.url).pathname;
const index = readFileSync(`${folder}README.md`, "utf8");
const examples = readdirSync(`${folder}src`, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

describe("README.md", () => {
  it("lists every example, and no other", () => {
    const listed = [...index.matchAll(/^\| \[([\w-]+)\]\(src\/([\w-]+)\/README\.md\)/gm)];
    expect(listed.map(([, name]) => name).toSorted()).toEqual(examples.toSorted());
    for (const [, name, target] of listed) expect(target).toBe(name);
  });

  it.each(examples)("can rely on %s to have a README that says how to run it", (name) => {
    expect(existsSync(`${folder}src/${name}/main.ts`)).toBe(true);
    const readme = readFileSync(`${folder}src/${name}/README.md`, "utf8");
    expect(readme).toContain(name === "showcase" ? "npm start" : `node --import tsx src/${name}/main.ts`);
  });
});
