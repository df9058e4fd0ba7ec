import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Fate } from "../web-hosts/app.js";
import { RawConnection } from "./http-clients.js";
import { anywhere, runtimeBinary } from "./runtimes.js";

/** A fetch-style host, as docs/web.md names it. */
export type HostName = "node-server" | "srvx" | "Bun" | "Deno" | "workerd";
/** How the application is written: by itself, in Hono, or in Hono with a middleware. Or the one for mixed requests. */
export type Form = "plain" | "hono" | "given" | "middleware" | "mixed";

/** A host that serves the application of `test/web-hosts/app.ts` in a process of its own. */
export interface WebHost {
  readonly name: HostName;
  /** For test titles: `Bun`, or `Bun (set BOUGH_ALL_NODES=1 to install it)`. */
  readonly label: string;
  readonly start: ((form: Form, bundles: string) => Promise<RunningHost>) | undefined;
}

export interface RunningHost {
  readonly port: number;
  /** The output of the process so far. */
  output(): string;
  stop(): Promise<void>;
}

const sources = fileURLToPath(new URL("../web-hosts/", import.meta.url));

/** Bundles the application for every host; returns the folder and how to remove it. */
export async function bundleHosts(): Promise<{ readonly folder: string; readonly remove: () => void }> {
  const folder = mkdtempSync(join(tmpdir(), "bough-web-hosts-"));
  const names = ["node-server", "srvx", "bun", "deno", "workerd"];
  await build({
    ...anywhere,
    entryPoints: names.map((name) => join(sources, `${name}.ts`)),
    outdir: folder,
    conditions: ["node"],
    outExtension: { ".js": ".mjs" },
  });
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Every host; those of runtimes that are not installed have no `start`. */
export function webHosts(): readonly WebHost[] {
  const listening = (name: HostName, command: string | undefined, args: readonly string[], script: string) =>
    hostOf(name, command, (form, folder) =>
      startListening(command as string, [...args, join(folder, script), form]),
    );
  return [
    listening("node-server", process.execPath, [], "node-server.mjs"),
    listening("srvx", process.execPath, [], "srvx.mjs"),
    listening("Bun", runtimeBinary("bun"), [], "bun.mjs"),
    hostOf("Deno", runtimeBinary("deno"), (form, folder) =>
      startListening(runtimeBinary("deno") as string, [...denoArgs(form), join(folder, "deno.mjs"), form]),
    ),
    hostOf("workerd", runtimeBinary("workerd"), (form, folder) =>
      startWorkerd(join(folder, "workerd.mjs"), form),
    ),
  ];
}

/** One form of the application runs in a Deno whose `request.signal` aborts when the client leaves, and not after a success. */
function denoArgs(form: Form): readonly string[] {
  return form === "given" ? ["run", "-A", "--unstable-no-legacy-abort"] : ["run", "-A"];
}

function hostOf(
  name: HostName,
  command: string | undefined,
  start: (form: Form, folder: string) => Promise<RunningHost>,
): WebHost {
  if (command !== undefined) return { name, label: name, start };
  return { name, label: `${name} (set BOUGH_ALL_NODES=1 to install it)`, start: undefined };
}

/** Starts a server that says on which port it listens. */
async function startListening(command: string, args: readonly string[]): Promise<RunningHost> {
  const { child, output, stop } = launch(command, args);
  for (;;) {
    const port = /listening (\d+)/.exec(output())?.[1];
    if (port !== undefined) return { port: Number(port), output, stop };
    const over = once(child, "close").then(() => "over");
    if ((await Promise.race([once(child.stdout as NodeJS.ReadableStream, "data"), over])) === "over")
      throw new Error(`${command} has ended:\n${output()}`);
  }
}

/** Starts workerd with one script as its module, in the same folder as the configuration that this writes. */
export async function startWorkerd(script: string, form: Form): Promise<RunningHost> {
  const port = await freePort();
  const config = join(dirname(script), `${form}.capnp`);
  writeFileSync(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [ (name = "main", worker = .app), (name = "internet", network = (allow = ["local"])) ],
  sockets = [ (name = "http", address = "127.0.0.1:${port}", http = (), service = "main") ],
);
const app :Workerd.Worker = (
  modules = [ (name = "app.mjs", esModule = embed "${basename(script)}") ],
  compatibilityDate = "2026-11-01",
  compatibilityFlags = ["enable_request_signal"],
  bindings = [ (name = "FORM", text = "${form}") ],
);
`,
  );
  const { child, output, stop } = launch(runtimeBinary("workerd") as string, ["serve", config]);
  while (child.exitCode === null) {
    const connection = new RawConnection(port);
    const answer = await connection.request({ path: "/" }).answer;
    connection.socket.destroy();
    if (answer !== undefined) return { port, output, stop };
  }
  throw new Error(`workerd has ended:\n${output()}`);
}

/** A port of the loopback interface that nothing listens to. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Starts a process. `closed` has its exit code and the signal that it died of. */
export function launch(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): {
  child: ChildProcess;
  output: () => string;
  closed: Promise<unknown[]>;
  stop: () => Promise<void>;
} {
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1", ...env },
  });
  let output = "";
  const closed = once(child, "close");
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += String(chunk)));
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await closed;
  };
  return { child, output: () => output, closed, stop };
}

/** Requests a path of a host. The request is not part of the observations. */
export async function ask(port: number, path: string): Promise<unknown> {
  const connection = new RawConnection(port);
  const answer = await connection.request({ path }).answer;
  connection.socket.destroy();
  return answer === undefined ? undefined : JSON.parse(answer.body);
}

/** The fate of a request, when its scope has ended; what is known of it after `patience` ms otherwise. */
export async function fateOf(port: number, id: string, patience: number): Promise<Fate | undefined> {
  for (let waited = 0; ; waited += 50) {
    const fate = (await ask(port, `/fates/${id}`)) as Fate | null;
    if (fate?.state === "closed" || waited >= patience) return fate ?? undefined;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
