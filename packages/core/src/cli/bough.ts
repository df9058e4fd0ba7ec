#!/usr/bin/env node
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Scope } from "../index.js";
import { main } from "../process/index.js";
import { convert, convertUsage } from "./convert.js";
import { inspect, usage } from "./inspect.js";
import { CannotInspect } from "./processes.js";

// The command `bough`, with `inspect`, and `convert` for recordings.

const [command, ...parameters] = process.argv.slice(2);
const allUsage = `${usage}\n${convertUsage}`;
/** Ctrl-C ends the recording; the command then writes the file. */
const isRecording = parameters.some((parameter) => /^--record(=|$)/.test(parameter));

const isKnown = command === "inspect" || command === "convert";
const isHelpAsked = parameters.includes("--help") || parameters.includes("-h");

if (!isKnown || isHelpAsked) {
  const isAsked = isKnown || command === undefined || command === "--help" || command === "-h";
  (isAsked ? process.stdout : process.stderr).write(
    isAsked ? allUsage : `bough has no command ${JSON.stringify(command)}.\n\n${allUsage}`,
  );
  process.exitCode = isAsked ? 0 : 2;
} else if (command === "convert") {
  process.exitCode = await convert(parameters);
} else if (typeof WebSocket === "undefined") {
  startWithWebSocket();
} else {
  // If the parent process is killed, the closed IPC channel is the only notice.
  process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
  process.channel?.unref();
  const run = async (scope: Scope): Promise<void> => {
    try {
      process.exitCode = await inspect(scope, parameters);
    } catch (error) {
      if (!(error instanceof CannotInspect)) throw error;
      process.stderr.write(`${error.message}\n`);
      process.exitCode = 1;
    }
  };
  await main(run, isRecording ? { signals: ["SIGTERM", "SIGHUP"] } : {});
}

/** Starts the command again with the flag that enables `WebSocket` on Node 20. */
function startWithWebSocket(): void {
  const script = fileURLToPath(import.meta.url);
  const child = spawn(
    process.execPath,
    ["--experimental-websocket", "--no-warnings", script, ...process.argv.slice(2)],
    { stdio: ["inherit", "inherit", "inherit", "ipc"] },
  );
  // A terminal sends its signals to both processes. The child ignores the second copy.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  child.once("exit", (code) => (process.exitCode = code ?? 1));
}
