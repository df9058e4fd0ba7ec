import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { frameworks } from "./frameworks.js";

const program = fileURLToPath(new URL("main.ts", import.meta.url));
const folder = fileURLToPath(new URL(".", import.meta.url));

it("npm start prints how many tokens were saved", { timeout: 120_000 }, async () => {
  // Detached: npm and the program end together.
  const child = spawn("npm", ["start", "--silent"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  const closed = once(child, "close");
  let output = "";
  try {
    // The table of the first framework is enough.
    for await (const chunk of child.stdout)
      if ((output += String(chunk)).includes("while the gateway shuts down")) break;
  } finally {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
    await closed;
  }
  const row = /leave after 20 tokens +\d+ +(\d+) +(\d+) +\d+ +(\d+) /.exec(output);
  const [planned = 0, generated = 0, saved = 0] = row?.slice(1).map(Number) ?? [];
  expect(saved).toBe(planned - generated);
  expect(saved).toBeGreaterThan(0);
});

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
