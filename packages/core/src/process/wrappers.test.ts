import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync, mkdtempSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { scriptFolder, type ScriptFolder } from "../../test/support/run-script.js";

// What stands between a terminal and a program in development gets its signals, too, and passes them on: one Ctrl-C
// arrives twice or three times. Driven as a terminal does: by a signal to the whole process group.

const core = fileURLToPath(new URL("../../", import.meta.url));
const require = createRequire(import.meta.url);
const binOf = (name: string, path: string): string =>
  join(dirname(require.resolve(`${name}/package.json`)), path);
const tsx = binOf("tsx", "dist/cli.mjs");
const nodemon = binOf("nodemon", "bin/nodemon.js");

let scripts: ScriptFolder;
let script: string;
let relay: string;
beforeAll(async () => {
  scripts = await scriptFolder("process", "http");
  script = scripts.write(`
    for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => log("got a signal"));
    await main(async function api(scope) {
      scope.defer(() => sleep(background, 200).then(() => log("cleaned up")));
      log("ready", process.pid, ".");
      await sleep(scope, Infinity);
    }, { grace: 10_000 });
    log("the end");
  `);
  const folder = mkdtempSync(join(tmpdir(), "bough-relay-"));
  relay = join(folder, "relay.sh");
  writeFileSync(
    relay,
    `trap 'kill -INT $child' INT\ntrap 'kill -TERM $child' TERM\n"$@" & child=$!\nwait; wait; wait\n`,
  );
  return () => rmSync(folder, { recursive: true, force: true });
});
afterAll(() => scripts.remove());

const wrappers: Record<string, () => readonly string[]> = {
  "node --watch": () => [process.execPath, "--watch", "--no-warnings", script],
  tsx: () => [process.execPath, tsx, script],
  "tsx watch": () => [process.execPath, tsx, "watch", script],
  nodemon: () => [process.execPath, nodemon, "--quiet", script],
  "npx tsx": () => ["npx", "--no-install", "tsx", script],
  "a shell that passes signals on": () => ["bash", relay, process.execPath, script],
  "a shell that passes them on to npx tsx": () => ["bash", relay, "npx", "--no-install", "tsx", script],
};

interface Group {
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly printed: (text: string) => Promise<void>;
  readonly output: () => string;
  readonly closed: Promise<unknown>;
}

/** Starts a command in a process group of its own. */
function start(command: readonly string[]): Group {
  const [name, ...args] = command as [string, ...string[]];
  const child = spawn(name, args, { cwd: core, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += String(chunk)));
  const closed = once(child, "close"); // when everybody who writes to the pipes has ended
  const kill = (signal: NodeJS.Signals): void => {
    try {
      process.kill(-(child.pid as number), signal);
    } catch {
      // They have ended.
    }
  };
  onTestFinished(() => kill("SIGKILL"));
  const printed = async (text: string): Promise<void> => {
    while (!output.includes(text)) {
      const more = await Promise.race([
        once(child.stdout, "data"),
        once(child.stderr, "data"),
        closed.then(() => "over"),
      ]);
      if (more === "over" && !output.includes(text)) throw new Error(`never printed ${text}:\n${output}`);
    }
  };
  return { kill, printed, output: () => output, closed };
}

describe.skipIf(process.platform === "win32").each(Object.keys(wrappers))("%s", (name) => {
  const command = wrappers[name] as () => readonly string[];

  it.each(["SIGINT", "SIGTERM"] as const)(
    "rule 33: one %s to the process group lets the program clean up",
    { timeout: 60_000 },
    async (signal) => {
      const { kill, printed, output } = start(command());
      await printed(" .");
      kill(signal);
      await printed("the end");
      expect(output()).toContain("cleaned up\nthe end");
      expect(output()).not.toContain("Exit forced");
    },
  );
});

describe.skipIf(process.platform === "win32")("a worker of node:cluster", () => {
  // Each signals the worker once: a busy machine may keep a second signal for so long that it counts as another one.
  it.each([
    ["a signal to the process group", 'process.on("SIGTERM", () => {}); log("ready .");', true],
    ["a signal from its primary", 'worker.process.kill("SIGTERM"); log("ready .");', false],
  ])(
    "rule 33: ends when its main has ended, though its primary is still connected: %s",
    { timeout: 60_000 },
    async (_, whenReady, isSent) => {
      const serving = scripts.write(`
        const { createServer } = await import("node:http");
        await main(async function api(scope) {
          const server = createServer((request, response) => response.end("ok"));
          serverScope(server);
          await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
          scope.defer(() => log("cleaned up"));
          process.send("ready");
          await sleep(scope, Infinity);
        }, { grace: 20_000 });
      `);
      const primary = scripts.write(`
        const { default: cluster } = await import("node:cluster");
        cluster.setupPrimary({ exec: ${JSON.stringify(serving)} });
        const worker = cluster.fork();
        worker.on("exit", (code, signal) => log("worker:", code, signal, "."));
        worker.on("message", () => { ${whenReady} });
      `);
      const { kill, printed, output, closed } = start([process.execPath, primary]);
      await printed("ready .");
      if (isSent) kill("SIGTERM");
      await printed("worker: 143 null .");
      expect(output()).toContain("cleaned up");
      expect(output()).not.toContain("still held");
      kill("SIGKILL");
      await closed;
    },
  );
});

describe.skipIf(process.platform === "win32")("a person's second signal", () => {
  it.each(["SIGINT", "SIGTERM"] as const)(
    "rule 33: forces the exit of a process group that got the first signal once: %s",
    { timeout: 60_000 },
    async (signal) => {
      const stuck = scripts.write(`await main(async function api(scope) {
        scope.onCancel(() => setTimeout(log, 500, "once more ."));
        log("ready .");
        await new Promise(() => {});
      });`);
      const { kill, printed, output, closed } = start(["bash", relay, process.execPath, stuck]);
      await printed("ready .");
      kill(signal);
      await printed("once more .");
      kill(signal);
      await closed;
      expect(output()).toContain(`Exit forced by a second signal, ${signal}.`);
    },
  );
});
