import { spawn as startProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Scope } from "bough";

/** `server.ts` in a process of its own. */
export interface ServerProcess {
  readonly url: string;
  kill(signal: NodeJS.Signals): void;
  /** Resolves with the exit code, or with the signal that it died of. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
  /** Its output so far. */
  output(): string;
}

/** Starts the server for `scope`, and waits until it listens. What is still there at the end of `scope` is killed. */
export async function startServer(scope: Scope, env: Record<string, string>): Promise<ServerProcess> {
  const folder = fileURLToPath(new URL("../..", import.meta.url));
  const server = startProcess(process.execPath, ["--import", "tsx", "src/reports/server.ts"], {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(server, "close").then(
    ([code, signal]) => (code ?? signal) as number | NodeJS.Signals | null,
  );
  scope.defer(async () => {
    server.kill("SIGKILL");
    await ended;
  });
  let output = "";
  const url = new Promise<string>((resolve, reject) => {
    const read = (chunk: unknown): void => {
      output += String(chunk);
      const found = /listening on (\S+),/.exec(output)?.[1];
      if (found !== undefined) resolve(found);
    };
    server.stdout.on("data", read);
    server.stderr.on("data", read);
    ended.then(() => reject(new Error(`the server did not start:\n${output}`)), reject);
  });
  return {
    url: await url,
    kill: (signal) => void server.kill(signal),
    ended,
    output: () => output,
  };
}
