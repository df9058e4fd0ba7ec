import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nodes } from "./support/nodes.js";
import { execute } from "./support/process.js";

// The package as a user gets it: the tarball, installed in an empty folder.

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
}

const core = fileURLToPath(new URL("..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(core, "package.json"), "utf8")) as Manifest;
const workspace = JSON.parse(readFileSync(join(core, "../../package.json"), "utf8")) as {
  readonly packageManager: string;
};
const specifiers = Object.entries(manifest.exports)
  .filter(([, target]) => typeof target !== "string")
  .map(([subpath]) => subpath.replace(/^\./, "bough"))
  // Loads only inside vitest; test/planted-leaks.test.ts runs it there.
  .filter((specifier) => !specifier.startsWith("bough/vitest"))
  // Load only where Nest, BullMQ or pg-boss is; they have tests of their own.
  .filter((specifier) => !["bough/nest", "bough/bullmq", "bough/pg-boss"].includes(specifier));
/** Their types are those of a framework, and are compiled where that is: with the tests of these entries. */
const withFramework = ["bough/express", "bough/fastify"];
/** These have types of Node's. */
const withNode = ["bough/http", "bough/inspector", "bough/process"];
const tool = (name: string): string => join(core, "node_modules/.bin", name);

let folder: string;
let tarball: string;

async function ok(command: string, args: readonly string[], cwd = folder): Promise<string> {
  const { code, output } = await execute(command, args, cwd);
  expect(code, `${command} ${args.join(" ")}\n${output}`).toBe(0);
  return output;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "bough-package-"));
  // As it is published: pnpm writes real versions where package.json says `catalog:`.
  await ok("npx", ["-y", workspace.packageManager, "pack", "--pack-destination", folder], core);
  const packed = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  tarball = join(folder, packed ?? "no tarball");
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
  await ok("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", "--silent", tarball]);
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the packed tarball", () => {
  it("holds only the build, the README, the docs it refers to, and the licence", () => {
    const installed = join(folder, "node_modules/bough");
    expect(readdirSync(installed).toSorted()).toEqual([
      "LICENSE",
      "README.md",
      "dist",
      "docs",
      "package.json",
    ]);
    expect(
      readdirSync(join(installed, "dist"), { recursive: true }).filter((path) =>
        /\.test\./.test(String(path)),
      ),
    ).toEqual([]);
    const linked = [
      ...readFileSync(join(installed, "README.md"), "utf8").matchAll(/\]\((docs\/[\w/-]+\.md)/g),
    ];
    expect(linked.length).toBeGreaterThan(10);
    expect(linked.filter(([, path = ""]) => !existsSync(join(installed, path)))).toEqual([]);
  });

  for (const node of nodes()) {
    it.skipIf(!node.path)(`works with import and require, as one copy, on ${node.label}`, async () => {
      writeFileSync(join(folder, "import.mjs"), importScript);
      writeFileSync(join(folder, "require.cjs"), requireScript);
      const binary = node.path ?? "";
      expect(await ok(binary, ["import.mjs"])).toBe("import 42\n");
      expect(await ok(binary, ["--no-warnings", "require.cjs"])).toBe("require 42\n");
    });
  }

  it("has an entry for Nest, which shares its copy", async () => {
    symlinkSync(join(core, "node_modules/@nestjs"), join(folder, "node_modules/@nestjs"));
    writeFileSync(join(folder, "nest.mjs"), nestScript);
    expect(await ok(process.execPath, ["nest.mjs"])).toBe("nest timeout must be\n");
  });

  it("has entries for BullMQ and pg-boss, which share its copy", async () => {
    for (const name of ["bullmq", "ioredis", "pg", "pg-boss"])
      symlinkSync(join(core, "node_modules", name), join(folder, "node_modules", name));
    writeFileSync(join(folder, "engines.mjs"), enginesScript);
    expect(await ok(process.execPath, ["engines.mjs"])).toBe("BullMQ pg-boss true\n");
  });

  it.each([
    [
      "NodeNext, with the types of Node",
      { module: "NodeNext", moduleResolution: "NodeNext", lib: ["ES2022"], types: ["node"] },
    ],
    [
      "NodeNext, with those of the DOM",
      { module: "NodeNext", moduleResolution: "NodeNext", lib: ["ES2022", "DOM"], types: [] },
    ],
    [
      "bundler, with the types of Node",
      { module: "ESNext", moduleResolution: "bundler", lib: ["ES2022"], types: ["node"] },
    ],
    [
      "bundler, with those of the DOM",
      { module: "ESNext", moduleResolution: "bundler", lib: ["ES2022", "DOM"], types: [] },
    ],
  ])("has types that compile under strict: %s", async (name, options) => {
    const project = join(folder, name.replaceAll(/\W+/g, "-"));
    mkdirSync(project);
    const hidden = options.types.length === 0 ? [...withFramework, ...withNode] : withFramework;
    const visible = specifiers.filter((specifier) => !hidden.includes(specifier));
    writeFileSync(join(project, "use.ts"), typedScript(visible));
    const compilerOptions = {
      ...options,
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      target: "ES2022",
      skipLibCheck: false,
      typeRoots: [join(core, "node_modules/@types")],
    };
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["use.ts"] }));
    await ok(tool("tsc"), ["-p", "."], project);
  });

  it("is clean for publint", async () => {
    await ok(tool("publint"), ["run", tarball, "--strict"]);
  });

  it("is clean for arethetypeswrong, as an ESM-only package", async () => {
    await ok(tool("attw"), [tarball, "--profile", "esm-only"]);
  });
});

const importScript = `
import { spawn, withScope } from "bough";
for (const specifier of ${JSON.stringify(specifiers)}) await import(specifier);
console.log("import", await withScope((scope) => spawn(scope, async () => 42)));
`;

const enginesScript = `
  import { BoughError } from "bough";
  import { bullmqEngine } from "bough/bullmq";
  import { pgBossEngine } from "bough/pg-boss";
  import { RemoteLostError } from "bough/remote";
  const names = [bullmqEngine({ connection: "redis://x" }).name, pgBossEngine({ connectionString: "postgresql://x" }).name];
  console.log(...names, new RemoteLostError("a", "worker") instanceof BoughError);
`;

const nestScript = `
import "bough/http";
import { BoughModule, BoughService } from "bough/nest";
if (BoughModule.forRoot().exports[0] !== BoughService) throw new Error("no service");
try { BoughModule.forRoot({ timeout: -1 }); } catch (error) { console.log("nest", /timeout must be/.exec(error.message)[0]); }
`;

const requireScript = `
const { spawn, withScope } = require("bough");
for (const specifier of ${JSON.stringify(specifiers)}) require(specifier);
import("bough").then(async (imported) => {
  if (imported.spawn !== spawn) throw new Error("import and require gave two copies");
  console.log("require", await withScope((scope) => spawn(scope, async () => 42)));
});
`;

const typedScript = (visible: readonly string[]): string => `
import { spawn, withScope, type CancelledError, type Scope, type Task } from "bough";
${visible.map((specifier) => `import ${JSON.stringify(specifier)};`).join("\n")}

const sum: Promise<number> = withScope({ timeout: 1_000 }, async (scope: Scope) => {
  const task: Task<number> = spawn(scope, async ({ signal }) => (signal.aborted ? 0 : 42), { name: "answer" });
  const reason: CancelledError | undefined = scope.reason;
  return reason ? 0 : await task;
});
// @ts-expect-error: what a task gives is not lost on the way
const wrong: Promise<string> = withScope((scope) => spawn(scope, () => 42));
export { sum, wrong };
`;
