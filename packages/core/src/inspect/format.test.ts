import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { createScope } from "../task/create-scope.js";
import { spawn } from "../task/spawn.js";
import { formatDuration } from "./duration.js";
import { formatTree, snapshot } from "./index.js";
import { openScope } from "../../test/support/open-scope.js";

const never = (): Promise<never> => new Promise(() => {});

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("formatTree()", () => {
  it("draws the tree, and adds to each scope only unusual states", async () => {
    const server = openScope("server", { timeout: 90_000, concurrency: 1 });
    spawn(server, never, { name: "heartbeat", daemon: true });
    spawn(server, never, { name: "job" });
    const pool = createScope(server, { name: "pool" });
    const stuck = createScope(pool, { name: "connection" });
    let end = (): void => {};
    stuck.defer(() => new Promise<void>((resolve) => (end = resolve)));
    onTestFinished(() => end());
    vi.advanceTimersByTime(1_250);
    await Promise.resolve(); // ages are told by the burst in which a scope was made
    void stuck.close();
    spawn(pool, never, { name: "ping" });

    expect(formatTree(snapshot(server))).toBe(
      [
        "server  handle · 1.2 s · 1.4 min left · 1 queued",
        "├─ heartbeat  daemon · 1.2 s · 1.4 min left",
        "├─ job  task · queued · 1.2 s · 1.4 min left",
        "└─ pool  handle · 1.2 s · 1.4 min left",
        "   ├─ connection  handle · cancelling (closed) · 1.2 s · waiting for cleanup · awaited by 1 caller",
        "   └─ ping  task · 0 ms · 1.4 min left",
      ].join("\n"),
    );
  });

  it("prints one line for each scope, for any name", () => {
    const scope = openScope("a\nb\u001b[31m\u2028c");
    expect(formatTree(snapshot(scope))).toBe("a\\u000ab\\u001b[31m\\u2028c  handle · 0 ms");
  });

  it("summarizes the process in the first line", () => {
    const lines = formatTree(snapshot()).split("\n");
    expect(lines[0]).toMatch(/^background {2}\d+ roots?, \d+ tasks?$/);
  });

  it("limits the indentation, and numbers the levels below", () => {
    let scope = openScope("level");
    const root = scope;
    for (let level = 1; level <= 40; level++) scope = createScope(scope, { name: "level" });
    const lines = formatTree(snapshot(root)).split("\n");
    expect(lines[40]).toContain("└─ (40) level");
    expect(lines[40]?.indexOf("└")).toBe(lines[33]?.indexOf("└"));
    expect(lines[10]?.indexOf("└")).toBeGreaterThan(lines[9]?.indexOf("└") ?? 0);
  });
});

describe("formatDuration()", () => {
  it.each([
    [0, "0 ms"],
    [999.9, "999 ms"],
    [1_000, "1 s"],
    [9_990, "9.9 s"],
    [12_400, "12 s"],
    [90_000, "1.5 min"],
    [5_400_000, "1.5 h"],
    [200_000_000, "2.3 d"],
    [-5, "0 ms"],
  ])("formats %d ms as %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});
