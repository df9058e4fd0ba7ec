#!/usr/bin/env node
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { main } from "../process/index.js";
import { inspect, usage } from "./inspect.js";
import { CannotInspect } from "./processes.js";

// The command `bough`, of which `inspect` is the only part.

const [command, ...parameters] = process.argv.slice(2);

if (command !== "inspect" || parameters.includes("--help") || parameters.includes("-h")) {
  const isAsked = command === undefined || command === "--help" || command === "-h" || command === "inspect";
  (isAsked ? process.stdout : process.stderr).write(
    isAsked ? usage : `bough has no command ${JSON.stringify(command)}.\n\n${usage}`,
  );
  process.exitCode = isAsked ? 0 : 2;
} else if (typeof WebSocket === "undefined") {
  startWithWebSocket();
} else {
  // If the process that has started this one is killed, nobody else says that it is over.
  process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
  process.channel?.unref();
  await main(async (scope) => {
    try {
      process.exitCode = await inspect(scope, parameters);
    } catch (error) {
      if (!(error instanceof CannotInspect)) throw error;
      process.stderr.write(`${error.message}\n`);
      process.exitCode = 1;
    }
  });
}

/** Starts the command again: Node 20 has a WebSocket, behind a flag. */
function startWithWebSocket(): void {
  const script = fileURLToPath(import.meta.url);
  const child = spawn(
    process.execPath,
    ["--experimental-websocket", "--no-warnings", script, ...process.argv.slice(2)],
    { stdio: ["inherit", "inherit", "inherit", "ipc"] },
  );
  // Those of a terminal reach both: one that comes twice counts once.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  child.once("exit", (code) => (process.exitCode = code ?? 1));
}
