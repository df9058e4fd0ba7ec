import { mkdtempSync, rmSync } from "node:fs";
import { builtinModules } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";
import { inlineState } from "../scripts/inline-state.mjs";

// The built files: they must load where there is no Node.

const core = fileURLToPath(new URL("..", import.meta.url));

/** What a user's bundle grows by, minified. `from` is a folder of this package; `*` are all names. */
async function bundled(names: string, from: "src" | "dist"): Promise<string> {
  const { outputFiles } = await build({
    stdin: {
      contents: `export ${names === "*" ? names : `{ ${names} }`} from "./${from}/index.js";`,
      resolveDir: core,
      loader: "ts",
    },
    bundle: true,
    minify: true,
    write: false,
    platform: "browser",
    format: "esm",
    external: ["effection"],
    plugins: [inlineState],
    logLevel: "error",
  });
  return outputFiles[0]?.text ?? "";
}

/** Its size in bytes, compressed. */
async function bundledSize(names: string, from: "src" | "dist"): Promise<number> {
  return gzipSync(await bundled(names, from), { level: 9 }).length;
}

/** The modules of Node that remain in `code` once it is bundled for a browser, dependencies and all. */
async function nodeModulesIn(code: string): Promise<{ readonly path: string; readonly kind: string }[]> {
  const { metafile } = await build({
    stdin: { contents: code, resolveDir: core },
    bundle: true,
    write: false,
    outdir: core,
    metafile: true,
    platform: "browser",
    format: "esm",
    // Left as they are, and so listed: without this, esbuild fails even on those that tree-shaking removes.
    external: ["node:*", ...builtinModules],
    logLevel: "silent",
  });
  const [output] = Object.values(metafile.outputs);
  expect(output?.bytes).toBeGreaterThan(0);
  return (output?.imports ?? []).map(({ path, kind }) => ({ path, kind }));
}

describe("dist/index.js", () => {
  it.each([
    "./dist/index.js",
    "./dist/inspect/index.js",
    "./dist/streams/index.js",
    "./dist/effection/index.js",
  ])("imports no module of Node's, nor do its dependencies: %s", async (entry) => {
    expect(await nodeModulesIn(`export * from ${JSON.stringify(entry)};`)).toEqual([]);
  });

  it("rule 8: bough/effection makes generator functions workers also after a bundler has dropped code without side effects", async () => {
    const code = `
      import { spawn, withScope } from "./dist/index.js";
      import "./dist/effection/index.js";
      export const value = withScope((scope) => spawn(scope, function* () { return 42; }));
    `;
    const folder = mkdtempSync(join(tmpdir(), "bough-bundle-"));
    try {
      const outfile = join(folder, "bundle.mjs");
      const stdin = { contents: code, resolveDir: core };
      await build({ stdin, outfile, bundle: true, minify: true, platform: "node", format: "esm" });
      const bundle = (await import(outfile)) as { value: Promise<number> };
      expect(await bundle.value).toBe(42);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  // A chunk holds many modules: a statement at the top of one that may have an effect is kept for all of them.
  it.each([
    "spawn, withScope",
    "spawn, all",
    "spawn, sleep",
    "sleep",
    "spawn, retry, supervise",
    "spawn, createChannel, select",
    "createScope",
  ])("adds to a bundle what is imported, and nothing of the other functions: %s", async (names) => {
    const [built, sources] = [await bundledSize(names, "dist"), await bundledSize(names, "src")];
    expect(built).toBeLessThan(sources * 1.02);
  });

  it("has no code that only a server, the inspector or Effection needs, in a bundle with all functions", async () => {
    const bundle = await bundled("*", "src");
    expect(bundle).toContain("has not finished"); // the words of a report
    const others = ["has not answered", "has not reached the client", "operation has not ended", "heldBy"];
    expect(others.filter((text) => bundle.includes(text))).toEqual([]);
  });

  it("would fail the check above if it did", async () => {
    const planted =
      'export * from "./dist/index.js"; import "node:fs"; export const later = () => import("path");';
    expect(await nodeModulesIn(planted)).toEqual([
      { path: "node:fs", kind: "import-statement" },
      { path: "path", kind: "dynamic-import" },
    ]);
  });
});
