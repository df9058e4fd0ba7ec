import { readFileSync } from "node:fs";
import { defineConfig } from "tsup";
import { inlineState } from "./scripts/inline-state.mjs";
import { pageAssets } from "./scripts/page-assets.mjs";

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
}

const manifest = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8")) as Manifest;

/** The `exports` of package.json are the one list of entries: `./dist/http/index.js` is built from `src/http/index.ts`. */
function entries(): Record<string, string> {
  const found: Record<string, string> = {};
  for (const target of Object.values(manifest.exports)) {
    if (typeof target === "string") continue;
    const name = target.default.replace(/^\.\/dist\/(.*)\.js$/, "$1");
    found[name] = `src/${name}.ts`;
  }
  return found;
}

export default defineConfig([
  {
    entry: { ...entries(), "cli/bough": "src/cli/bough.ts" },
    format: "esm",
    // Every subpath must share one copy of the kernel: two copies would be two trees.
    splitting: true,
    target: ["node20", "es2022"],
    platform: "neutral",
    tsconfig: "tsconfig.build.json",
    sourcemap: true,
    esbuildPlugins: [pageAssets, inlineState],
    esbuildOptions(options) {
      // Puts constants where they are used: the engine would load a variable for each.
      options.minifySyntax = true;
    },
    // The other build runs beside this one.
    clean: ["**/*", "!cli/agent.js", "!cli/recorder-agent.js"],
    // tsup's own declarations need the compiler API of TypeScript 6: `tsc -p tsconfig.build.json` writes them.
    dts: false,
  },
  {
    // What `bough inspect` evaluates in another process: each one expression, without imports.
    entry: { "cli/agent": "src/inspect/agent.ts", "cli/recorder-agent": "src/recorder/agent.ts" },
    format: "iife",
    globalName: "boughAgent",
    outExtension: () => ({ js: ".js" }),
    target: ["node20", "es2022"],
    platform: "neutral",
    esbuildPlugins: [inlineState],
    minify: true,
    clean: false,
    dts: false,
  },
]);
