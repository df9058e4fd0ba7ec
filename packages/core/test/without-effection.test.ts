import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type BuildOptions } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { anywhere, runtimes } from "./support/runtimes.js";

const src = fileURLToPath(new URL("../src", import.meta.url));

/** Bundles `code` with everything that it imports; nothing is left to be found at run time. */
async function inputsOf(code: string, options: BuildOptions): Promise<readonly string[]> {
  const { metafile } = await build({
    stdin: { contents: code, resolveDir: src, loader: "ts" },
    bundle: true,
    format: "esm",
    metafile: true,
    write: false,
    outdir: src,
    logLevel: "silent",
    ...options,
  });
  return Object.keys(metafile?.inputs ?? {});
}

describe("rule 8: bough loads nothing of Effection", () => {
  it.each(["browser", "neutral"] as const)(
    "bundled for the platform %s, without externals",
    async (platform) => {
      const inputs = await inputsOf('export * from "./index.ts";', { platform });
      expect(inputs.length).toBeGreaterThan(10);
      expect(inputs.filter((path) => path.includes("node_modules"))).toEqual([]);
    },
  );

  it("bough/effection does", async () => {
    const options: BuildOptions = { platform: "node" };
    const inputs = await inputsOf('export * from "./effection/index.ts";', options);
    expect(inputs.filter((path) => path.includes("node_modules/effection")).length).toBeGreaterThan(10);
  });
});

const program = `
  import { createScope, spawn, withScope } from "./index.ts";
  const error = await withScope((scope) => spawn(scope, function* routine() { globalThis.begun = true; })).catch((thrown) => thrown);
  const sum = await withScope(async (scope) => (await spawn(scope, async () => 20)) + 22);
  const report = JSON.stringify([error.name, error.code, error.message, globalThis.begun === true, sum]);
  if (globalThis.gcReport !== undefined) globalThis.gcReport(report);
  else console.log(report);
`;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "bough-bundle-"));
  const stdin = { contents: program, resolveDir: src, loader: "ts" as const };
  await build({ ...anywhere, external: [], stdin, outfile: join(folder, "program.mjs") });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(runtimes().map((runtime) => ({ ...runtime })))("rule 8 on $label", ({ run }) => {
  it.skipIf(run === undefined)(
    "from one bundle: workers run, and a generator function is refused with the import that it needs",
    { timeout: 60_000 },
    async () => {
      const report: unknown = JSON.parse((await run?.(join(folder, "program.mjs"))) ?? "");
      const message =
        "routine: the worker returned a generator, which runs as an Effection operation only after " +
        'import "bough/effection"';
      expect(report).toEqual(["BoughError", "BOUGH_NO_EFFECTION", message, false, 42]);
    },
  );
});
