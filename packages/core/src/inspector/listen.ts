import { once } from "node:events";
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import type { Server } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMainThread } from "node:worker_threads";
import { optionNames } from "../errors/option-names.js";
import { checkOptionsObject, checkType, outOfRange, wrongType } from "../errors/validate.js";

/** The address of the page. Default: a unix socket in the folder for temporary files. */
export interface ListenOptions {
  /**
   * The path of the unix socket, or of the named pipe on Windows. Default: `bough-<pid>.sock` in the folder for
   * temporary files.
   */
  readonly path?: string;
  /** A TCP port on 127.0.0.1 instead of a socket; 0 for any free port. Default: none. */
  readonly port?: number;
}

const listenOptionNames = optionNames<ListenOptions>({ path: true, port: true });

/** Starts to listen. Resolves to the path of the socket, or to the port. Does not keep the process alive. */
export async function listen(server: Server, options: ListenOptions): Promise<string | number> {
  checkOptionsObject("listen", options, listenOptionNames, "{ port: 0 }");
  const { path, port } = options;
  checkType("listen", "path", "string", path);
  checkType("listen", "port", "number", port);
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535))
    throw outOfRange("listen", "port must be a whole number from 0 to 65535", port);
  if (port !== undefined && path !== undefined)
    throw wrongType("listen", "options must have path or port, not both", options);
  server.unref();
  if (port !== undefined) {
    server.listen({ port, host: "127.0.0.1", exclusive: true });
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  }
  const socket = path === undefined ? defaultPath() : toPath(path);
  await removeStaleSocket(socket);
  listenPrivately(server, socket);
  await once(server, "listening");
  return socket;
}

function defaultPath(): string {
  if (process.platform === "win32") return `\\\\.\\pipe\\bough-${process.pid}`;
  return join(tmpdir(), `bough-${process.pid}.sock`);
}

/** Node treats a numeric path as a port, and listens on every address of the machine. */
const toPath = (path: string): string => (Number.isNaN(Number(path)) ? path : `./${path}`);

/** Listens on a socket to which only the user of the process may connect. */
function listenPrivately(server: Server, path: string): void {
  if (process.platform === "win32") return void server.listen({ path, exclusive: true });
  // `listen` creates the file, which must not be open to others even for a moment. Worker threads can't set the mask.
  const before = isMainThread ? process.umask(0o177) : undefined;
  try {
    // Exclusive: the workers of a cluster do not share a page.
    server.listen({ path, exclusive: true });
  } finally {
    if (before !== undefined) process.umask(before);
  }
  try {
    chmodSync(path, 0o600);
  } catch {
    // The socket could not be created: the server reports the reason.
  }
}

/** Removes the socket of a process that was killed. */
async function removeStaleSocket(path: string): Promise<void> {
  try {
    if (!lstatSync(path).isSocket()) return;
  } catch {
    return; // the file does not exist
  }
  const isStale = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(false);
    });
    probe.on("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"));
  });
  if (isStale) unlinkSync(path);
}
