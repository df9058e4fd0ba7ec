import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { execute, type Outcome } from "./process.js";

const src = fileURLToPath(new URL("../../src", import.meta.url));

/** A folder outside the repository with one copy of the package, for scripts that run in processes of their own. */
export interface ScriptFolder {
  /** The path of the copy: `src/index.ts`, the subpaths asked for and their dependencies in one module. */
  readonly bundle: string;
  /**
   * Runs a module in a process of its own. Everything that `bough` exports is in scope under its name, as is `bough`
   * itself; `log` prints one line.
   */
  readonly run: (source: string, options?: ScriptOptions) => Promise<Outcome>;
  /** Writes such a module, for a test that starts it itself; returns its path. */
  readonly write: (source: string) => string;
  readonly remove: () => void;
}

interface ScriptOptions {
  /** The Node binary. Default: the one that runs the tests. */
  readonly node?: string | undefined;
  readonly flags?: readonly string[];
}

let scripts = 0;

/**
 * Bundles the package as it is in `src`, so that no build is needed and every Node can run it.
 *
 * @param subpaths - Of which the exports are in scope, too: `"process"` for `bough/process`.
 */
export async function scriptFolder(...subpaths: readonly string[]): Promise<ScriptFolder> {
  const folder = mkdtempSync(join(tmpdir(), "bough-script-"));
  const bundle = join(folder, "bough.mjs");
  await build({
    stdin: {
      contents: [".", ...subpaths].map((path) => `export * from "./${path}/index.ts";`).join("\n"),
      resolveDir: src,
      loader: "ts",
    },
    outfile: bundle,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    logLevel: "silent",
  });
  const names = Object.keys((await import(bundle)) as object);
  const prelude =
    `import * as bough from "./bough.mjs";\nconst { ${names.join(", ")} } = bough;\n` +
    `const log = (...values) => console.log(...values);\n`;
  const write = (source: string): string => {
    const file = join(folder, `script-${scripts++}.mjs`);
    writeFileSync(file, `${prelude}{\n${source}\n}\n`); // a block: names of its own may hide ours
    return file;
  };
  return {
    bundle,
    write,
    run: (source, { node = process.execPath, flags = [] } = {}) =>
      execute(node, [...flags, write(source)], folder),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
