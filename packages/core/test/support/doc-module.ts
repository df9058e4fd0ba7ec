import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { blocksOfMarkdown } from "./doc-code.js";

const core = fileURLToPath(new URL("../..", import.meta.url));
let imports = 0;

/**
 * Imports a block of a page below `docs`, with bough's sources, so that a test runs the code of the page. Each call
 * evaluates it again, with an application of its own.
 *
 * @param index - Of the block among those in TypeScript. Default: the first.
 */
export async function importPage(page: string, index = 0): Promise<unknown> {
  const block = blocksOfMarkdown(page, readFileSync(join(core, "../../docs", page), "utf8"))[index];
  if (block === undefined) throw new Error(`${page} has no block of code ${index}`);
  const folder = join(core, ".doc-code");
  mkdirSync(folder, { recursive: true });
  // Not in a new folder: tests that list the repository would fail when it disappears.
  const file = join(folder, `page-${process.pid}-${basename(page, ".md")}-${imports++}.ts`);
  const source = (_: string, entry = "") => `from "${join(core, "src", entry, "index.ts")}"`;
  writeFileSync(file, block.module.replaceAll(/from "bough(\/\w+)?"/g, source));
  try {
    return await import(/* @vite-ignore */ file);
  } finally {
    rmSync(file);
  }
}
