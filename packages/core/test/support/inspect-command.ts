import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { expect, onTestFinished } from "vitest";
import { Child } from "./child.js";
import { scriptFolder, type ScriptFolder } from "./run-script.js";

const source = (path: string): string => fileURLToPath(new URL(`../../src/${path}`, import.meta.url));

/** How a run of the command ended. */
export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Port 0: other tests may use 9229 at the same time. Without the option, it is 9229. */
export const anyPort = "--inspect-port=0";

/** The command `bough`, as it is in `src`, and programs to inspect. */
export interface InspectCommand {
  /** The path of the command. */
  readonly path: string;
  /** The folder that it is in. */
  readonly folder: string;
  readonly scripts: ScriptFolder;
  /** Runs the command on a Node. */
  readonly run: (node: string, ...parameters: string[]) => Promise<Result>;
  /** Starts a program until the end of the test, and waits until it has printed `ready`. */
  readonly start: (
    node: string,
    program: string,
    ...flags: string[]
  ) => Promise<{ readonly child: Child; readonly pid: string }>;
  readonly remove: () => void;
}

/** Builds the command as `npm run build` does. */
export async function inspectCommand(): Promise<InspectCommand> {
  const scripts = await scriptFolder();
  const folder = mkdtempSync(join(tmpdir(), "bough-cli-"));
  const path = join(folder, "bough.mjs");
  const common = { bundle: true, target: "node20", logLevel: "silent" } as const;
  await build({
    ...common,
    entryPoints: [source("cli/bough.ts")],
    outfile: path,
    format: "esm",
    platform: "node",
    external: ["effection"],
  });
  await build({
    ...common,
    entryPoints: { agent: source("inspect/agent.ts"), "recorder-agent": source("recorder/agent.ts") },
    outdir: folder,
    format: "iife",
    globalName: "boughAgent",
    minify: true,
  });
  return {
    path,
    folder,
    scripts,
    run: (node, ...parameters) =>
      new Promise((resolve) => {
        execFile(node, [path, ...parameters], (error, stdout, stderr) => {
          resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
        });
      }),
    start: async (node, program, ...flags) => {
      const child = new Child(node, [anyPort, ...flags, scripts.write(program)]);
      onTestFinished(() => child.kill("SIGKILL"));
      await child.printed("ready");
      return { child, pid: String(child.pid) };
    },
    remove: () => {
      scripts.remove();
      rmSync(folder, { recursive: true });
    },
  };
}

/** The port of the inspector, by what Node says when it starts it. */
export async function portOf(child: Child): Promise<number> {
  await child.reported("For help, see");
  return Number(/ws:\/\/127\.0\.0\.1:(\d+)/.exec(child.errors)?.[1]);
}

/** Waits until the inspector of a process, which has been open, listens no longer. */
export async function closed(child: Child): Promise<void> {
  const port = await portOf(child);
  expect(port).toBeGreaterThan(0);
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const outcome = await once(socket, "connect").then(
      () => "connected",
      (error: unknown) => (error as NodeJS.ErrnoException).code,
    );
    socket.destroy();
    if (outcome === "ECONNREFUSED") return;
  }
}
