import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const oxlint = fileURLToPath(new URL("../../../../node_modules/.bin/oxlint", import.meta.url));

/** A folder in which the real oxlint runs with the rule of `bough/eslint`, as it is in `src`. */
export interface OxlintFolder {
  /** Which of the files it flags, in one run: it takes a moment to start. */
  readonly flagged: (codes: readonly string[], extension: string) => boolean[];
  readonly remove: () => void;
}

export async function oxlintFolder(): Promise<OxlintFolder> {
  const folder = mkdtempSync(join(tmpdir(), "bough-oxlint-"));
  const entry = fileURLToPath(new URL("../../src/eslint/index.ts", import.meta.url));
  await build({ entryPoints: [entry], outfile: join(folder, "plugin.mjs"), bundle: true, format: "esm" });
  const rules = { "bough/no-owner-in-worker": "error" };
  const config = { jsPlugins: ["./plugin.mjs"], categories: { correctness: "off" }, rules };
  writeFileSync(join(folder, ".oxlintrc.json"), JSON.stringify(config));
  const run = (files: readonly string[]): string => {
    try {
      return execFileSync(oxlint, ["--format", "json", ...files], { cwd: folder, encoding: "utf8" });
    } catch (error) {
      return (error as { stdout: string }).stdout;
    }
  };
  return {
    flagged: (codes, extension) => {
      const files = codes.map((_, index) => `${index}.${extension}`);
      codes.forEach((code, index) => writeFileSync(join(folder, files[index] as string), code));
      const { diagnostics } = JSON.parse(run(files)) as { diagnostics: { filename: string; code: string }[] };
      const others = diagnostics.filter(({ code }) => code !== "bough(no-owner-in-worker)");
      if (others.length > 0) throw new Error(JSON.stringify(others, undefined, 2));
      return files.map((file) =>
        diagnostics.some(({ filename }) => filename.endsWith(`/${file}`) || filename === file),
      );
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
