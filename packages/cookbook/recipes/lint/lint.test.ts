import { execFile } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { recipesFolder } from "../../support/pages.js";

const ESLINT = "lint/eslint.config.js";
const OXLINT = "lint/oxlintrc.json";

const code = `import { createScope, spawn, supervise, withScope, type Scope } from "bough";

export function start(scope: Scope, work: () => Promise<number>): void {
  spawn(scope, work);
  supervise(scope, work);
  withScope(scope, work); // line 6
  spawn(scope, work).then(console.log); // line 7
  work(); // line 8
  const handle = createScope();
  spawn(handle, () => handle.cancel()); // line 10
}
`;

const bin = (name: string): string => fileURLToPath(new URL(`../../node_modules/${name}`, import.meta.url));
const root = fileURLToPath(new URL("../../../../node_modules/.bin/", import.meta.url));

let folder: string;

/** The lines that a linter reports, each with the rule. */
function run(
  command: string,
  args: readonly string[],
  parse: (output: string) => string[],
): Promise<string[]> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd: folder, env: { PATH: process.env["PATH"] } }, (_, stdout, stderr) => {
      try {
        resolve(parse(stdout).toSorted());
      } catch {
        reject(new Error(stdout + stderr));
      }
    });
  });
}

beforeAll(() => {
  // Inside the package, so that imports are resolved as in a project that has installed these.
  mkdirSync(bin(".cache"), { recursive: true });
  folder = mkdtempSync(bin(".cache/lint-"));
  // A copy, as after an installation: oxlint knows the package of a file by its place below a node_modules.
  for (const part of ["dist", "package.json"]) {
    cpSync(new URL(`../../../core/${part}`, import.meta.url), join(folder, "node_modules/bough", part), {
      recursive: true,
    });
  }
  copyFileSync(`${recipesFolder}${ESLINT}`, join(folder, "eslint.config.js"));
  copyFileSync(`${recipesFolder}${OXLINT}`, join(folder, ".oxlintrc.json"));
  writeFileSync(join(folder, "start.ts"), code);
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const compilerOptions = {
    strict: true,
    module: "NodeNext",
    target: "ES2022",
    types: [],
    skipLibCheck: true,
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a task that is not awaited is accepted, and other promises are not", () => {
  const expected = [
    "10 no-owner-in-worker",
    "6 no-floating-promises",
    "7 no-floating-promises",
    "8 no-floating-promises",
  ];
  const name = (rule: string): string => rule.replace(/^.*[/(]|\)$/g, "");

  it("by typescript-eslint", async () => {
    const args = [bin("eslint/bin/eslint.js"), "--format", "json", "--no-warn-ignored", "start.ts"];
    const found = await run(process.execPath, args, (output) => {
      const [file] = JSON.parse(output) as [{ messages: { line: number; ruleId: string }[] }];
      return file.messages.map(({ line, ruleId }) => `${line} ${name(ruleId)}`);
    });
    expect(found).toEqual(expected);
  });

  it("by oxlint", async () => {
    const found = await run(
      join(root, "oxlint"),
      ["--type-aware", "--format", "json", "start.ts"],
      (output) => {
        const { diagnostics } = JSON.parse(output) as {
          diagnostics: { code: string; labels: { span: { line: number } }[] }[];
        };
        return diagnostics.map(({ code: rule, labels }) => `${labels[0]?.span.line} ${name(rule)}`);
      },
    );
    expect(found).toEqual(expected);
  });
});
