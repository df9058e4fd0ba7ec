import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";

const core = new URL("..", import.meta.url);
const readme = readFileSync(new URL("../../README.md", core), "utf8").replace(/\s+/g, " ");
const manifest = JSON.parse(readFileSync(new URL("package.json", core), "utf8")) as {
  engines: { node: string };
  dependencies: Record<string, string>;
};

/** The growth of a user's bundle in kB by what `entry` takes from the built package, minified and compressed. */
async function size(entry: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents: entry, resolveDir: fileURLToPath(new URL("dist", core)) },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "neutral",
    write: false,
  });
  return gzipSync(outputFiles[0]?.contents ?? new Uint8Array(), { level: 9 }).length / 1_000;
}

describe("the claims of the README", () => {
  it.each([
    ["all of it", /All of `bough` is under (\d+) kB minified and gzipped/, `export * from "./index.js";`],
    [
      "the part most people use",
      /`spawn` and `withScope` alone under ([\d.]+) kB/,
      `export { spawn, withScope } from "./index.js";`,
    ],
  ])("the size of %s", async (_, claim, entry) => {
    const claimed = Number(claim.exec(readme)?.[1]);
    const actual = await size(entry);
    expect(actual).toBeLessThanOrEqual(claimed);
    expect(actual, "and the claim is no wild guess").toBeGreaterThan(claimed * 0.7);
  });

  it("its one dependency is Effection", () => {
    expect(readme).toContain("Its one dependency is Effection, which only `bough/effection` loads");
    expect(Object.keys(manifest.dependencies)).toEqual(["effection"]);
  });

  it("the Nodes it runs on", () => {
    expect(readme).toContain(`\`${manifest.engines.node}\``);
  });
});
