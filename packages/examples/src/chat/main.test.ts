import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { frameworks } from "./frameworks.js";

const program = fileURLToPath(new URL("main.ts", import.meta.url));

it.each(Object.keys(frameworks))(
  "Ctrl-C closes the gateway and the fake model, and no exit is forced: --page --framework=%s",
  { timeout: 60_000 },
  async (framework) => {
    const args = ["--import", "tsx", program, "--page", "--port=0", `--framework=${framework}`];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    try {
      const ended = once(child, "close");
      let output = "";
      child.stderr.on("data", (chunk) => (output += String(chunk)));
      child.stdout.on("data", (chunk) => {
        output += String(chunk);
        if (output.endsWith("Ctrl-C ends it\n")) child.kill("SIGINT");
      });
      expect(await ended).toEqual([130, null]);
      expect(output).toMatch(/^http:\S+ asks the fake model; Ctrl-C ends it\n$/);
    } finally {
      child.kill("SIGKILL");
    }
  },
);
