import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { blocksOfMarkdown } from "./doc-code.js";

const core = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Imports a block of a page below `docs`, with bough's sources: so that a test runs what the page shows.
 *
 * @param index - Of the block among those in TypeScript. Default: the first.
 */
export async function importPage(page: string, index = 0): Promise<unknown> {
  const block = blocksOfMarkdown(page, readFileSync(join(core, "../../docs", page), "utf8"))[index];
  if (block === undefined) throw new Error(`${page} has no block of code ${index}`);
  const folder = join(core, ".doc-code", `page-${process.pid}-${basename(page, ".md")}-${index}`);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "page.ts");
  const source = (_: string, entry = "") => `from "${join(core, "src", entry, "index.ts")}"`;
  writeFileSync(file, block.module.replaceAll(/from "bough(\/\w+)?"/g, source));
  try {
    return await import(/* @vite-ignore */ file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
