import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A recipe that runs as a program, for `await using`: it is killed if it is still there. */
export interface Program extends AsyncDisposable {
  readonly kill: (signal: NodeJS.Signals) => void;
  /** Its output so far. */
  readonly output: () => string;
  /** Resolves when it has exited and its output is read. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** Runs Node with `args` in the folder of this package. */
export function runNode(args: readonly string[], env: NodeJS.ProcessEnv = {}): Program {
  return runProgram(process.execPath, args, env);
}

export function runProgram(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Program {
  const child = spawn(command, args, {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    // Of the test runner around it a program must not know.
    env: { PATH: process.env["PATH"], NODE_ENV: "test", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += String(chunk)));
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal }));
  return {
    kill: (signal) => void child.kill(signal),
    output: () => output,
    ended,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Whether `program` is on the PATH. */
export function isInstalled(program: string): boolean {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
