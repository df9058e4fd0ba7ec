import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";

const folder = new URL("../", import.meta.url).pathname;
const manifest = JSON.parse(readFileSync(`${folder}package.json`, "utf8")) as {
  scripts: Record<string, string>;
};

let child: ChildProcess | undefined;
afterEach(() => child?.kill("SIGKILL"));

/** Runs the `start` script, as `npm start` at the root does, without a terminal. */
function start(...args: string[]): { child: ChildProcess; output: () => string; ended: Promise<unknown[]> } {
  const [command, ...given] = (manifest.scripts["start"] ?? "").split(" ");
  expect(command).toBe("node");
  const started = spawn(process.execPath, [...given, ...args], { cwd: folder });
  child = started;
  let output = "";
  started.stdout.on("data", (chunk) => (output += String(chunk)));
  started.stderr.on("data", (chunk) => (output += String(chunk)));
  return { child: started, output: () => output, ended: once(started, "close") };
}

describe("npm start", () => {
  it("plays the showcase without a terminal and exits with 0", { timeout: 180_000 }, async () => {
    const { output, ended } = start("--visits=12", "--workers=2048");
    expect(await ended).toEqual([0, null]);
    expect(output()).toContain("✓ upstream sockets still open: 0");
    expect(output()).toContain("✓ alive after a collection while they were held: 2048");
    expect(output()).toContain("✓ alive after they were dropped and collected: 0");
    expect(output()).toMatch(/✓ tiles still being rendered: 0|not played/);
    expect(output()).toContain("Everything held.");
    expect(output()).not.toContain("\x1b");
  });

  it("stops on Ctrl-C and exits with 130", { timeout: 30_000 }, async () => {
    const { child, output, ended } = start();
    while (!/[1-9]\d* upstream sockets alive/.test(output())) await once(child.stdout ?? child, "data");
    child.kill("SIGINT");
    expect(await ended).toEqual([130, null]);
    expect(output()).toContain("Stopped by SIGINT");
  });

  it("stops on Ctrl-C among the workers of act two", { timeout: 60_000 }, async () => {
    const { child, output, ended } = start("--visits=12");
    while (!/[1-9][\d,]* workers alive/.test(output())) await once(child.stdout ?? child, "data");
    child.kill("SIGINT");
    expect(await ended).toEqual([130, null]);
    expect(output()).toContain("Stopped by SIGINT");
  });

  it("stops when its output is no longer read", { timeout: 30_000 }, async () => {
    const { child, output, ended } = start();
    while (output() === "") await once(child.stdout ?? child, "data");
    child.stdout?.destroy();
    expect(await ended).toEqual([141, null]);
    expect(output()).not.toContain("EPIPE");
  });
});
