#!/usr/bin/env node
import { spawnSync } from "node:child_process";
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
  // Node 20 has a WebSocket, behind a flag.
  const script = fileURLToPath(import.meta.url);
  const { status } = spawnSync(
    process.execPath,
    ["--experimental-websocket", "--no-warnings", script, command, ...parameters],
    { stdio: "inherit" },
  );
  process.exitCode = status ?? 1;
} else {
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
