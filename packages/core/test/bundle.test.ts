import { fileURLToPath } from "node:url";
import { build, type Metafile } from "esbuild";
import { describe, expect, it } from "vitest";

// What is built: it must load where there is no Node.

const core = fileURLToPath(new URL("..", import.meta.url));

function bundle(entry: string, plant = ""): Promise<{ readonly metafile: Metafile }> {
  return build({
    stdin: { contents: `import ${JSON.stringify(entry)};${plant}`, resolveDir: core },
    bundle: true,
    write: false,
    metafile: true,
    platform: "browser",
    format: "esm",
    ignoreAnnotations: true,
    logLevel: "silent",
  });
}

describe("dist/index.js", () => {
  it("imports no module of Node's, nor do its dependencies", async () => {
    const { metafile } = await bundle("./dist/index.js");
    const inputs = Object.entries(metafile.inputs);
    expect(inputs.length).toBeGreaterThan(1);
    const external = inputs.flatMap(([, input]) => input.imports).filter((item) => item.external);
    expect(external).toEqual([]);
  });

  it("would fail the check above if it did", async () => {
    await expect(bundle("./dist/index.js", 'import "node:fs";')).rejects.toThrow("node:fs");
  });
});
