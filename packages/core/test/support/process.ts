import { spawn } from "node:child_process";

/** How a command ended, and what it printed. */
export interface Outcome {
  readonly code: number | null;
  readonly output: string;
  readonly stdout: string;
}

/** Runs a command to its end; its output is both of its streams, in the order in which they came. */
export function execute(command: string, args: readonly string[], cwd: string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let stdout = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output, stdout }));
  });
}
