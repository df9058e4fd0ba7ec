import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterEach, describe, expect, it } from "vitest";

const folder = new URL("../", import.meta.url).pathname;
const manifest = JSON.parse(readFileSync(`${folder}package.json`, "utf8")) as {
  scripts: Record<string, string>;
};

let child: ChildProcess | undefined;
afterEach(() => child?.kill("SIGKILL"));

interface Run {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<unknown[]>;
}

/** Runs a script of the package, without a terminal. */
function run(script: string, ...args: string[]): Run {
  const [command, ...given] = (manifest.scripts[script] ?? "").split(" ");
  expect(command).toBe("node");
  const started = spawn(process.execPath, [...given, ...args], {
    cwd: folder,
    // For those who look into it: other tests may use port 9229 at the same time.
    env: { ...process.env, NODE_OPTIONS: "--inspect-port=0" },
  });
  child = started;
  let output = "";
  started.stdout.on("data", (chunk) => (output += String(chunk)));
  started.stderr.on("data", (chunk) => (output += String(chunk)));
  return { child: started, output: () => output, ended: once(started, "close") };
}

/** Runs the showcase, as `npm start` at the root does. */
const start = (...args: string[]): Run => run("start", ...args);

/** The command. */
const bough = `${folder}node_modules/bough/dist/cli/bough.js`;

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

  it(
    "keeps the price comparison running with --serve, to be looked into, until Ctrl-C",
    { timeout: 60_000 },
    async () => {
      const { child, output, ended } = start("--serve", "--plant-stuck");
      while (!output().includes("in a browser")) await once(child.stdout ?? child, "data");
      const [, server] = /serves (\S+) to/.exec(output()) ?? [];
      expect((await fetch(`${server}/?shops=fast`)).status).toBe(200);

      const [, page] = /(http:\S+token=\S+) {2}# in a browser/.exec(output()) ?? [];
      const address = new URL(page ?? "");
      const headers = { authorization: `Bearer ${address.searchParams.get("token")}` };
      const found = await fetch(new URL("/tree?find=exportPrices", address), { headers });
      expect(await found.json()).toMatchObject({ total: 1 });

      // By pid: the task, its line, who cancelled it.
      expect(output()).toContain(`npx bough inspect ${child.pid} --watch`);
      const text = await untilWarned(String(child.pid));
      expect(text).toMatch(/warning: task "exportPrices" was cancelled .* ago and still runs/);
      expect(text).toMatch(/started at showcase\/stuck\.ts:\d+/);
      expect(text).toMatch(/cancelled: explicit, at "showcase\/exports", by giveUp \(\S+stuck\.ts:\d+:\d+\)/);

      child.kill("SIGINT");
      expect(await ended).toEqual([130, null]);
      expect(output()).not.toContain("Warning");
    },
  );
});

/** Looks into a process until there is a warning. */
async function untilWarned(pid: string): Promise<string> {
  for (;;) {
    const { stdout } = await promisify(execFile)(process.execPath, [bough, "inspect", pid]);
    if (stdout.includes("warning:")) return stdout;
  }
}

describe("npm run trial:warnings", () => {
  it("finds no warning in the price comparison", { timeout: 60_000 }, async () => {
    const { output, ended } = run("trial:warnings", "--seconds=5");
    expect(await ended).toEqual([0, null]);
    expect(output()).toMatch(/kinds of warnings\W+0\b/);
  });
});
