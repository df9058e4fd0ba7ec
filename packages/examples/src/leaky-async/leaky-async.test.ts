import { createScope, DeadlineExceededError, type Scope, type ScopeHandle } from "bough";
import { snapshot } from "bough/inspect";
import { verifyNoLeaks } from "bough/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runExample } from "../../test/support/run-example.js";
import { measure } from "./benchmark.js";
import { runLeakTest } from "./leak-test.js";
import { contextAsync, leakyAsync, selecting } from "./perform.js";

let parent: ScopeHandle;
beforeEach(() => {
  parent = createScope({ name: "parent" });
});
afterEach(async () => {
  await parent.close();
  await verifyNoLeaks({ resources: false });
});

const tasks = (scope: Scope): number => snapshot(scope).counts.tasks;

describe("selecting()", () => {
  it("leaves nothing behind", () => {
    selecting(parent, 100);
    expect(tasks(parent)).toBe(0);
  });

  it("throws when its parent is cancelled", () => {
    parent.cancel();
    let error: unknown;
    try {
      selecting(parent, 100);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBe(parent.reason);
  });

  it("sees a deadline that passes while it spins", async () => {
    await using hurried = createScope({ timeout: 5 });
    expect(() => selecting(hurried, Infinity)).toThrow(DeadlineExceededError);
  });
});

describe("leakyAsync()", () => {
  it("leaves a task behind until its parent ends", async () => {
    leakyAsync(parent, 100);
    leakyAsync(parent, 100);
    expect(tasks(parent)).toBe(2);
    await parent.close();
    expect(tasks(parent)).toBe(0);
  });
});

describe("contextAsync()", () => {
  it("leaves nothing behind", async () => {
    const called = contextAsync(parent, 100);
    expect(tasks(parent)).toBe(1);
    await called;
    expect(tasks(parent)).toBe(0);
  });

  it("rejects when its parent is cancelled already", async () => {
    parent.cancel();
    await expect(contextAsync(parent, 100)).rejects.toBe(parent.reason);
  });
});

describe("runLeakTest()", () => {
  it("catches exactly the pattern that leaks", async () => {
    const patterns = { selecting, leakyAsync, contextAsync };
    const caught: string[] = [];
    for (const [name, pattern] of Object.entries(patterns)) {
      const { passed } = await runLeakTest({ name, body: (scope) => pattern(scope, 100) });
      if (!passed) caught.push(name);
    }
    expect(caught).toEqual(["leakyAsync"]);
  });

  it("passes for code that does not leak", async () => {
    const failure = new Error("no test");
    const body = (): Promise<void> => Promise.reject(failure);
    await expect(runLeakTest({ name: "failing", body })).rejects.toBe(failure);
  });
});

describe("measure()", () => {
  it("weighs the memory that a pattern leaves behind", async () => {
    const [leaky, clean] = [await measure(leakyAsync, 100), await measure(contextAsync, 100)];
    expect(leaky.left).toBeGreaterThan(300);
    expect(clean.left).toBeLessThan(100);
    expect(leaky.time).toBeGreaterThan(0);
  });
});

describe("main.ts", () => {
  it("prints the verdicts as `go test -v` does, and the benchmark", { timeout: 60_000 }, async () => {
    const { code, output } = await runExample("leaky-async", "--rounds=65536");
    const seconds = String.raw`\(\d+\.\d\ds\)`;
    const patterns = [
      "=== RUN {3}TestSelecting",
      `--- PASS: TestSelecting ${seconds}`,
      "=== RUN {3}TestLeakyAsync",
      " {4}TestLeakyAsync: 1 leak, .*",
      "",
      String.raw` {6}task parent/LeakyAsync\.func1 \(running, .*\)`,
      String.raw` {8}spawned at leakyAsync \(.*/perform\.ts:\d+:\d+\)`,
      `--- FAIL: TestLeakyAsync ${seconds}`,
      "=== RUN {3}TestContextAsync",
      `--- PASS: TestContextAsync ${seconds}`,
    ];
    const lines = output.split("\n");
    for (const [index, pattern] of patterns.entries())
      expect(lines[index]).toMatch(new RegExp(`^${pattern}$`));
    for (const name of ["Selecting", "LeakyAsync", "ContextAsync"]) {
      expect(output).toMatch(new RegExp(String.raw`^${name}( +\d+){5}$`, "m"));
    }
    expect(output).toContain("The leak checker caught: TestLeakyAsync\n");
    expect(code).toBe(0);
  });

  it("refuses a number of rounds that would never end", { timeout: 60_000 }, async () => {
    const { code, output } = await runExample("leaky-async", "--rounds=many");
    expect(code).toBe(1);
    expect(output).toContain('--rounds must be a whole number from 1, got "many"');
  });
});
