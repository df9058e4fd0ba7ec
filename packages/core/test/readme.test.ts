import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { blocksOfMarkdown, blocksOfSource, readExports, type DocCode } from "./support/doc-code.js";

const run = promisify(execFile);
const core = fileURLToPath(new URL("..", import.meta.url));
const root = join(core, "../..");
const exports = readExports(join(core, "src"));

const filesIn = (folder: string, end: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: "utf8" })
        .filter((path) => path.endsWith(end) && !path.endsWith(".test.ts"))
        .map((path) => join(folder, path))
    : [];

const nameOf = (path: string): string => relative(root, path);
// The reference is made from the doc comments, whose examples are among those of the sources.
const documents = [join(root, "README.md"), ...filesIn(join(root, "docs"), ".md")].filter(
  (path) => existsSync(path) && !nameOf(path).startsWith("docs/reference/"),
);
const ofDocuments = documents.flatMap((path) => blocksOfMarkdown(nameOf(path), readFileSync(path, "utf8")));
const ofSources = filesIn(join(core, "src"), ".ts").flatMap((path) =>
  blocksOfSource(nameOf(path), readFileSync(path, "utf8"), exports),
);
const blocks: readonly DocCode[] = [...ofDocuments, ...ofSources];

describe("the code in the documentation", () => {
  let folder: string;

  beforeAll(async () => {
    // Inside the package, so that `effection` and the types of Node resolve as they do for its own code.
    mkdirSync(join(core, ".doc-code"), { recursive: true });
    folder = mkdtempSync(join(core, ".doc-code/"));
    for (const block of blocks) writeFileSync(join(folder, block.file), block.module);
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(tsconfig));
    const runnable = blocks.filter((block) => block.runs);
    if (runnable.length === 0) return;
    await build({
      entryPoints: runnable.map((block) => join(folder, block.file)),
      outdir: folder,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20",
      packages: "external",
      alias: aliases(),
      tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
      sourcemap: "inline",
      logLevel: "silent",
    });
  }, 60_000);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("is found in the README and in the doc comments", () => {
    expect(ofDocuments.filter((block) => block.place.startsWith("README.md")).length).toBeGreaterThan(0);
    expect(ofSources.length).toBeGreaterThan(0);
  });

  it("compiles", async () => {
    const compiler = join(core, "node_modules/.bin/tsc");
    const result = await run(compiler, ["-p", folder, "--pretty", "false"], { cwd: folder }).catch(
      (error: { stdout: string }) => error,
    );
    expect(result.stdout).toBe("");
  }, 60_000);

  it.concurrent.each(blocks.filter((block) => block.runs))(
    "runs: $place",
    async ({ file }) => {
      const script = join(folder, file.replace(/\.ts$/, ".mjs"));
      // An example that hangs is as wrong as one that throws.
      await run(process.execPath, ["--enable-source-maps", script], { timeout: 110_000 });
    },
    120_000,
  );
});

/** `bough` and its subpaths are their sources: the code is checked against what is being written. */
function aliases(): Record<string, string> {
  // The longest first: an alias also matches what begins with it.
  const specifiers = [...exports.keys()].toSorted((a, b) => b.length - a.length);
  return Object.fromEntries(specifiers.map((specifier) => [specifier, sourceOf(specifier)]));
}

function sourceOf(specifier: string): string {
  return join(core, "src", specifier.slice("bough".length), "index.ts");
}

const tsconfig = {
  extends: "../../../../tsconfig.base.json",
  compilerOptions: {
    noEmit: true,
    isolatedDeclarations: false,
    declaration: false,
    // Code that explains need not use all that it shows, nor mark what is only a type.
    noUnusedLocals: false,
    noUnusedParameters: false,
    verbatimModuleSyntax: false,
    noPropertyAccessFromIndexSignature: false,
    // For Nest, whose code has decorators and parameter properties.
    experimentalDecorators: true,
    erasableSyntaxOnly: false,
    lib: ["ES2023", "ESNext.Disposable", "DOM", "DOM.Iterable", "DOM.AsyncIterable"],
    paths: Object.fromEntries([...exports.keys()].map((specifier) => [specifier, [sourceOf(specifier)]])),
  },
  files: blocks.map((block) => block.file),
};

describe("blocksOfMarkdown()", () => {
  const text =
    "# Title\n\n```ts\nconst a: number = 1;\n```\n\n```js\nnot()\n```\n\n```ts no-run\nb();\n```\n";

  it("finds the ts blocks, and keeps their lines", () => {
    const found = blocksOfMarkdown("README.md", text);
    expect(found.map((block) => [block.place, block.runs])).toEqual([
      ["README.md:3", true],
      ["README.md:11", false],
    ]);
    expect(found[0]?.module.split("\n").indexOf("const a: number = 1;")).toBe(3);
  });

  it("leaves the recipes of the cookbook to their own tests", () => {
    expect(blocksOfMarkdown("docs/cookbook/tasks.md", "```ts file=recipes/latest.ts\na();\n```\n")).toEqual(
      [],
    );
  });
});

describe("blocksOfSource()", () => {
  const known = new Map([
    ["bough", new Set(["spawn", "sleep", "Scope"])],
    ["bough/testing", new Set(["findLeaks", "sleep"])],
  ]);
  const comment = (code: string) =>
    `/**\n * Text.\n *\n * @example Title\n * \`\`\`ts\n * ${code}\n * \`\`\`\n */\nexport const x = 1;\n`;
  const importsOf = (code: string) => blocksOfSource("a.ts", comment(code), known)[0]?.module.split("\n")[0];

  it("finds the blocks after @example, and none elsewhere", () => {
    const found = blocksOfSource(
      "a.ts",
      `/**\n * \`\`\`ts\n * nothing();\n * \`\`\`\n */\n${comment("spawn();")}`,
      known,
    );
    expect(found.map((block) => block.place)).toEqual(["a.ts:10"]);
    expect(found[0]?.module.split("\n")[10]).toBe("spawn();");
  });

  it("does not take a decorator in the code for a tag", () => {
    const code = "@Injectable()\n * class A {}\n * spawn();";
    expect(blocksOfSource("a.ts", comment(code), known)[0]?.module).toContain("@Injectable()\nclass A {}");
  });

  it("imports the names it uses, each from one entry", () => {
    expect(importsOf("spawn(sleep, findLeaks);")).toBe(
      'export {}; import { spawn, sleep } from "bough"; import { findLeaks } from "bough/testing";',
    );
  });

  it("imports neither members nor names that the block declares, and nothing when the block imports", () => {
    expect(importsOf("a.spawn(b); const sleep = 1; f(...Scope);")).toBe(
      'export {}; import { Scope } from "bough";',
    );
    expect(importsOf('import { spawn } from "bough";')).toBe("export {};");
  });
});
