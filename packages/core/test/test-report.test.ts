import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { failureLines, type Failure } from "../../../scripts/test-report.mjs";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const vitest = path("../node_modules/vitest/vitest.mjs");
const reporter = path("../../../scripts/test-report.mjs");
const forNode20 = path("../../../scripts/vitest-on-node-20.mjs");

const files = {
  "vitest.config.mjs": `
    import ${JSON.stringify(forNode20)};
    export default { test: { globals: true, pool: "forks" } };`,
  "tests.test.mjs": `
    describe("a group", () => {
      test("differs", () => expect({ a: 1 }).toEqual({ a: 2 }));
      test("passes", () => {});
      test.fails("fails as expected", () => { throw new Error(); });
      test.skip("is skipped", () => {});
      test.todo("is to do");
    });
    describe("a hook", () => {
      beforeAll(() => { throw new TypeError("no set-up", { cause: new Error("no disk") }); });
      test("does not run", () => {});
    });`,
  "not-loaded.test.mjs": `import "./nowhere.mjs"; test("is not known", () => {});`,
  "unhandled.test.mjs": `
    test("leaves a rejection", async () => {
      Promise.reject(new RangeError("nobody awaits it"));
      await new Promise((resolve) => setTimeout(resolve, 50));
    });`,
  "crash.test.mjs": `
    test("kills its process", () => { process.kill(process.pid, "SIGKILL"); return new Promise(() => {}); });`,
};

interface Report {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly failures: readonly Failure[];
}

describe("the report of a test run that failed", () => {
  const folder = mkdtempSync(join(tmpdir(), "bough-test-report-"));
  const output = join(folder, "report.json");
  let report: Report;

  beforeAll(async () => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const args = [vitest, "run", "--root", folder, `--reporter=${reporter}`];
    const env = { ...process.env, BOUGH_TEST_REPORT: output };
    await new Promise((resolve) => execFile(process.execPath, args, { cwd: folder, env }, resolve));
    report = JSON.parse(readFileSync(output, "utf8")) as Report;
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const errorOf = (title: string): string | undefined =>
    report.failures.find((failure) => failure.title === title)?.error;

  it("counts every kind of failure, and what passed or was skipped", () => {
    expect(report).toMatchObject({ passed: 3, skipped: 3, failed: report.failures.length });
    expect(report.failures.map((failure) => failure.title).toSorted()).toEqual([
      "Unhandled Error",
      "Unhandled Rejection › unhandled.test.mjs › leaves a rejection",
      "crash.test.mjs › kills its process",
      "not-loaded.test.mjs",
      "tests.test.mjs › a group › differs",
      "tests.test.mjs › a hook",
    ]);
  });

  it("says what a test expected and received, and where", () => {
    const error = errorOf("tests.test.mjs › a group › differs");
    expect(error).toMatch(/^AssertionError: expected .*\n +at .*tests\.test\.mjs:3:\d+/);
    expect(error).toContain('-   "a": 2,\n+   "a": 1,');
  });

  it("says why a hook failed, and why a file could not be loaded", () => {
    expect(errorOf("tests.test.mjs › a hook")).toMatch(
      /^TypeError: no set-up\n.*\nCaused by Error: no disk$/,
    );
    expect(errorOf("not-loaded.test.mjs")).toContain("'./nowhere.mjs'");
  });

  it("names an error that nobody handled, and a process that died", () => {
    expect(errorOf("Unhandled Rejection › unhandled.test.mjs › leaves a rejection")).toContain(
      "RangeError: nobody awaits it",
    );
    expect(errorOf("crash.test.mjs › kills its process")).toBe("it did not come to an end");
    expect(errorOf("Unhandled Error")).toMatch(/SIGKILL.*crash\.test\.mjs/);
  });

  it("shows twelve lines of ten failures at most", () => {
    const error = Array.from({ length: 30 }, (_, line) => `line ${line}`).join("\n");
    const many = Array.from({ length: 12 }, (_, index) => ({ title: `failure ${index}`, error }));
    const lines = failureLines(many);
    expect(lines.slice(0, 2)).toEqual(["  failure 0", "      line 0"]);
    expect(lines).toHaveLength(10 * 13 + 1);
    expect(lines.at(-1)).toBe("  … and 2 more");
    expect(failureLines([])).toEqual([]);
  });
});
