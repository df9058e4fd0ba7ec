import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { nodes } from "./support/nodes.js";
import { execute } from "./support/process.js";

// The leak finder over whole suites, in processes of their own: twenty leaks of different kinds, and twenty
// look-alikes, all running at once.

const core = fileURLToPath(new URL("..", import.meta.url));

interface Assertion {
  readonly title: string;
  readonly ancestorTitles: readonly string[];
  readonly status: "passed" | "failed";
  readonly failureMessages: readonly string[];
}

interface Suite {
  readonly name: string;
  readonly message: string;
  readonly assertionResults: readonly Assertion[];
}

interface Results {
  readonly testResults: readonly Suite[];
}

async function runSuite(
  name: string,
  { node = process.execPath, release = "vitest" }: { node?: string | undefined; release?: string } = {},
): Promise<Suite | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "bough-leaks-"));
  const file = join(folder, "results.json");
  const vitest = join(core, `node_modules/${release}/vitest.mjs`);
  const config = `test/planted-leaks/${release}.config.ts`;
  try {
    const { output } = await execute(
      node,
      [vitest, "run", name, "--config", config, "--outputFile", file],
      core,
    );
    expect(output).toContain("JSON report written");
    const { testResults } = JSON.parse(readFileSync(file, "utf8")) as Results;
    return testResults[0];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const hosts = [
  ...nodes().map(({ path, label }) => ({ node: path, label, release: "vitest" })),
  { node: process.execPath, label: "vitest 4", release: "vitest4" },
];

describe("bough/vitest", () => {
  for (const { node, label, release } of hosts) {
    it.skipIf(node === undefined)(
      `rule 25: finds exactly the twenty leaks among forty parallel tests, each at its line, on ${label}`,
      async () => {
        const suite = await runSuite("suite.ts", { node, release });
        const tests = suite?.assertionResults ?? [];
        const planted = tests.filter((test) => test.ancestorTitles.includes("leaks"));
        const failed = tests.filter((test) => test.status === "failed");
        expect([planted.length, tests.length]).toEqual([20, 40]);
        expect(failed.map((test) => test.title)).toEqual(planted.map((test) => test.title));
        // The file has closed all that it had started, so the check at its end reports nothing.
        expect(suite?.message).toBe("");
        for (const { failureMessages } of failed) {
          expect(failureMessages).toEqual([expect.stringMatching(/^LeakError: \d leaks?, still there/)]);
          expect(failureMessages[0]).toMatch(/(?:created|spawned) at .*planted-leaks\/suite\.ts:\d+/);
        }
      },
      60_000,
    );
  }
});

describe("checkLeaks()", () => {
  it("checks the describe in which it is called, but no test that has failed anyway", async () => {
    const { assertionResults = [] } = (await runSuite("one-describe.ts")) ?? {};
    expect(assertionResults.map(({ title, status }) => `${title}: ${status}`)).toEqual([
      "leaks: failed",
      "leaks what is ignored: passed",
      "fails, and leaks: failed",
      "leaks, too: passed",
    ]);
    expect(assertionResults.map(({ failureMessages }) => failureMessages.length)).toEqual([1, 0, 1, 0]);
    expect(assertionResults[2]?.failureMessages[0]).toMatch(/^Error: its own failure/);
  }, 60_000);

  it("checks the work that a file and its hooks have started when the file has ended", async () => {
    const suite = await runSuite("whole-file.ts");
    expect(suite?.assertionResults.map(({ status }) => status)).toEqual(["passed"]);
    expect(suite?.message).toMatch(/2 leaks, still there 1000 ms after the end/);
    expect(suite?.message).toMatch(/scope of the module \(open.*\n +created at .*whole-file\.ts:7/);
    expect(suite?.message).toMatch(/interval of 60000 ms \(active.*\n +created at .*whole-file\.ts:9/);
  }, 60_000);
});

describe("expectNoLeaks() under node:test", () => {
  for (const { path, label } of nodes()) {
    it.skipIf(!path)(
      `finds the leaks of parallel tests, and no others, on ${label}`,
      async () => {
        const args = ["--import", "tsx", "--test", "--test-reporter=tap", "test/planted-leaks/node-test.ts"];
        const { output } = await execute(path ?? "", args, core);
        const results = [...output.matchAll(/^ +(ok|not ok) \d - (leaks .*)$/gm)].map(
          ([, verdict, title]) => `${title}: ${verdict}`,
        );
        expect(results).toEqual(["leaks a scope: not ok", "leaks a server: not ok", "leaks nothing: ok"]);
        expect(output).toMatch(/TCP server 127\.0\.0\.1:\d+[^]*created at .*node-test\.ts:17/);
      },
      60_000,
    );
  }
});
