import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { Worker } from "node:worker_threads";
import type { Scope } from "bough";
import { Address } from "./tcp.js";

/** Listens with the shortest backlog there is, tells its port, and never accepts: its event loop stands still. */
const standstill = `
  const { parentPort } = require("node:worker_threads");
  const server = require("node:net").createServer();
  server.listen(0, "127.0.0.1", 1, () => {
    parentPort.postMessage(server.address().port);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;

/** How many connections a Linux kernel completes by itself for a backlog of 1. */
const BACKLOG = 2;

/**
 * A loopback address that neither accepts nor refuses: a listener whose backlog is full, so that the kernel
 * drops what asks for more. It is gone when `scope` is.
 */
export async function openBlackhole(scope: Scope): Promise<Address> {
  const worker = new Worker(standstill, { eval: true, execArgv: [] });
  scope.defer(() => worker.terminate());
  const [port] = (await once(worker, "message", { signal: scope.signal })) as [number];
  for (let count = 0; count < BACKLOG; count += 1) {
    const filler: Socket = createConnection({ host: "127.0.0.1", port }).on("error", () => {});
    scope.defer(() => filler.destroy());
    await once(filler, "connect", { signal: scope.signal });
  }
  return new Address("127.0.0.1", port);
}
