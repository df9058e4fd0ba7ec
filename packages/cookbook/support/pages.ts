import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../..", import.meta.url));
export const recipesFolder = fileURLToPath(new URL("../recipes/", import.meta.url));

/** The pages that show recipes, and their index. */
const index = join(root, "docs/cookbook.md");
export const pages = readdirSync(join(root, "docs/cookbook"))
  .filter((name) => name.endsWith(".md"))
  .map((name) => join(root, "docs/cookbook", name));

/** A block that shows a file: its first line is ```` ```ts file=recipes/latest.ts ````. */
const shown = /^```\w+ file=recipes\/(\S+)\n(.*?)^```$/gms;

/** The files below `recipes/` that `text` shows. */
export function shownIn(text: string): string[] {
  return [...text.matchAll(shown)].map(([, file = ""]) => file);
}

/** `text` with the contents of each file that it shows. */
export function withContents(text: string): string {
  return text.replaceAll(shown, (block: string, file: string) => {
    const path = join(recipesFolder, file);
    if (!existsSync(path)) throw new Error(`no such recipe: packages/cookbook/recipes/${file}`);
    return `${block.slice(0, block.indexOf("\n") + 1)}${readFileSync(path, "utf8")}\`\`\``;
  });
}

/** The headings of the questions of a page: of the second level. */
export function questionsOf(page: string): string[] {
  return [...readFileSync(page, "utf8").matchAll(/^## (.+)$/gm)].map(([, heading = ""]) => heading);
}

/** The questions to which the index leads, as `page#anchor`. */
export function linksOfIndex(): string[] {
  return [...readFileSync(index, "utf8").matchAll(/\]\(cookbook\/([\w-]+\.md#[^)]+)\)/g)].map(
    ([, target = ""]) => target,
  );
}

/** GitHub's anchor of a heading. */
export function anchorOf(page: string, heading: string): string {
  const words = heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "");
  return `${basename(page)}#${words.replaceAll(" ", "-")}`;
}
