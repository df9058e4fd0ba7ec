import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseSync } from "oxc-parser";

/** A ```ts block of the documentation, as a module that can be compiled. */
export interface DocCode {
  /** Where it stands: `README.md:12`. */
  readonly place: string;
  /** A file name made of the place. */
  readonly file: string;
  /** The code, moved down so that a compiler's line numbers are those of the place. */
  readonly module: string;
  /** False for a block marked `no-run`: it is type-checked only. */
  readonly runs: boolean;
}

/** The names that each public entry exports: `bough` → `spawn`, `withScope` … */
export type EntryExports = ReadonlyMap<string, ReadonlySet<string>>;

/** The blocks of a Markdown file. */
export function blocksOfMarkdown(path: string, text: string): DocCode[] {
  return blocksOf(path, text.split("\n"), new Map());
}

/** The blocks that follow an `@example` in the doc comments of a source file; what they don't import is imported for them. */
export function blocksOfSource(path: string, text: string, exports: EntryExports): DocCode[] {
  const lines: string[] = [];
  let inComment = false;
  let inExample = false;
  let inFence = false;
  for (const line of text.split("\n")) {
    if (/^\s*\/\*\*/.test(line)) inComment = true;
    const content = inComment ? line.replace(/^\s*(\/\*\*|\*(?!\/))? ?/, "").replace(/\s*\*\/\s*$/, "") : "";
    const tag = /^@(\w+)/.exec(content)?.[1];
    if (content.startsWith("```")) inFence = !inFence;
    // In a fence it is a decorator.
    if (tag && !inFence) inExample = tag === "example";
    if (/\*\//.test(line)) inComment = false;
    lines.push(inExample ? content : "");
    if (!inComment) inExample = inFence = false;
  }
  return blocksOf(path, lines, exports);
}

/** The names that the public entries below `src` export. */
export function readExports(src: string): EntryExports {
  const found = new Map<string, Set<string>>();
  const entries = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((path) =>
    /^([\w-]+\/)*index\.ts$/.test(path),
  );
  for (const entry of entries.toSorted((a, b) => a.split("/").length - b.split("/").length)) {
    const { module } = parseSync(entry, readFileSync(join(src, entry), "utf8"));
    const names = module.staticExports.flatMap((statement) =>
      statement.entries.map((item) => item.exportName.name),
    );
    const specifier = entry === "index.ts" ? "bough" : `bough/${entry.replace("/index.ts", "")}`;
    found.set(specifier, new Set(names.filter((name) => name !== null)));
  }
  return found;
}

function blocksOf(path: string, lines: readonly string[], exports: EntryExports): DocCode[] {
  const blocks: DocCode[] = [];
  let start = -1;
  let info = "";
  lines.forEach((line, index) => {
    if (start < 0) {
      const fence = /^\s*```(?:ts|typescript)\b(.*)$/.exec(line);
      if (!fence) return;
      start = index + 1;
      info = fence[1] ?? "";
    } else if (/^\s*```\s*$/.test(line)) {
      // A block with `file=` is a file of an example, which has tests of its own.
      if (!/\bfile=/.test(info)) blocks.push(toModule(path, start, lines.slice(start, index), info, exports));
      start = -1;
    }
  });
  return blocks;
}

function toModule(
  path: string,
  start: number,
  code: readonly string[],
  info: string,
  exports: EntryExports,
): DocCode {
  const text = code.join("\n");
  // On the lines above the block, which are empty: they don't move the code.
  const imports = /^\s*import\b/m.test(text) ? "" : importsFor(text, exports).replaceAll("\n", " ");
  const header = `export {};${imports === "" ? "" : ` ${imports}`}`;
  return {
    place: `${path}:${start}`,
    file: `${path.replaceAll(/[^\w.-]/g, "_")}.${start}.ts`,
    module: `${header}${"\n".repeat(start)}${text}\n`,
    runs: !/\bno-run\b/.test(info),
  };
}

/** The imports from bough's entries that a block without imports needs, a line each. */
export function importsFor(text: string, exports: EntryExports): string {
  const statements: string[] = [];
  const seen = new Set<string>();
  for (const [specifier, names] of exports) {
    const used = [...names].filter((name) => !seen.has(name) && mentions(text, name));
    for (const name of used) seen.add(name);
    if (used.length > 0) statements.push(`import { ${used.join(", ")} } from "${specifier}";`);
  }
  return statements.join("\n");
}

/** True when `name` stands in `text`, neither as a member nor declared by the block itself. */
function mentions(text: string, name: string): boolean {
  const declared = new RegExp(`\\b(?:const|let|function|class|interface|type)\\s+${name}\\b`).test(text);
  return !declared && new RegExp(`(?<![\\w$]|(?<!\\.\\.)\\.)${name}(?![\\w$])`).test(text);
}
