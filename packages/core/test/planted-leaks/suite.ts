import { spawn as startProcess } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync, watch, watchFile, unwatchFile } from "node:fs";
import { open } from "node:fs/promises";
import { Agent, createServer as createHttpServer, get, type IncomingMessage } from "node:http";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { MessageChannel, Worker } from "node:worker_threads";
import { afterAll, describe, it, onTestFinished } from "vitest";
import { background, createScope, sleep, spawn, withScope } from "../../src/index.js";
import { checkLeaks } from "../../src/vitest/index.js";

// Twenty tests that leak, each something else, and twenty that look like them and don't. All run at once.

checkLeaks({ timeout: 1_500 });

const local = { host: "127.0.0.1", port: 0 } as const;
const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;
const never = (): Promise<never> => new Promise(() => {});

/** Made by no test, and open while all of them run. */
const shared = createScope({ name: "shared" });
const cleanups: (() => unknown)[] = [() => shared.close()];
/** For the end of the file, when the tests have been judged. */
const later = (cleanup: () => unknown): void => void cleanups.push(cleanup);
afterAll(async () => {
  for (const cleanup of cleanups) await cleanup();
});

describe("leaks", () => {
  it.concurrent("a scope that is never closed", () => {
    const scope = createScope({ name: "forgotten" });
    later(() => scope.close());
  });
  it.concurrent("a task that never settles", () => {
    const scope = createScope({ name: "owner" });
    spawn(scope, (task) => sleep(task, 60_000));
    later(() => scope.close());
  });
  it.concurrent("a task in the background", () => {
    const task = spawn(background, (scope) => sleep(scope, 60_000));
    later(() => task.cancel());
  });
  it.concurrent("a task in a shared scope", () => {
    spawn(shared, (task) => sleep(task, 60_000));
  });
  it.concurrent("a child of a shared scope", () => {
    const child = createScope(shared, { name: "child" });
    later(() => child.close());
  });
  it.concurrent("a body that never returns", () => {
    let end = (): void => {};
    void withScope({ name: "body" }, () => new Promise<void>((resolve) => (end = resolve)));
    later(() => end());
  });
  it.concurrent("a cleanup that never ends", () => {
    let end = (): void => {};
    const scope = createScope({ name: "cleaning" });
    scope.defer(() => new Promise<void>((resolve) => (end = resolve)));
    void scope.close();
    later(() => end());
  });
  it.concurrent("a worker that ignores its cancellation", () => {
    let end = (): void => {};
    const scope = createScope({ name: "stubborn" });
    spawn(scope, () => new Promise<void>((resolve) => (end = resolve)));
    scope.cancel();
    later(() => end());
  });
  it.concurrent("a timeout", () => {
    const timer = setTimeout(() => {}, 60_000);
    later(() => clearTimeout(timer));
  });
  it.concurrent("an interval", async () => {
    await Promise.resolve();
    const timer = setInterval(() => {}, 60_000);
    later(() => clearInterval(timer));
  });
  it.concurrent("a loop of immediates", () => {
    let on = true;
    const loop = (): void => void (on && setImmediate(loop));
    loop();
    later(() => (on = false));
  });
  it.concurrent("a TCP server", async () => {
    const server = createServer().listen(local);
    await once(server, "listening");
    later(() => server.close());
  });
  it.concurrent("a TCP socket", async () => {
    const server = createServer((peer) => later(() => peer.destroy())).listen(local);
    await once(server, "listening");
    const socket = connect(portOf(server), local.host);
    await once(socket, "connect");
    server.close();
    later(() => socket.destroy());
  });
  it.concurrent("an HTTP request that nobody answers", async () => {
    const server = createHttpServer(() => {}).listen(local);
    await once(server, "listening");
    const request = get({ ...local, port: portOf(server) }).on("error", () => {});
    await once(server, "request");
    server.close();
    later(() => request.destroy());
  });
  it.concurrent("a UDP socket", async () => {
    const socket = createSocket("udp4").bind(0, local.host);
    await once(socket, "listening");
    later(() => socket.close());
  });
  it.concurrent("a file watcher", () => {
    const watcher = watch(tmpdir());
    later(() => watcher.close());
  });
  it.concurrent("a child process", async () => {
    const child = startProcess(process.execPath, ["-e", "process.stdin.resume()"]);
    await once(child, "spawn");
    later(() => child.kill());
  });
  it.concurrent("a thread", async () => {
    const worker = new Worker("setInterval(() => {}, 1_000)", { eval: true });
    await once(worker, "online");
    later(() => worker.terminate());
  });
  it.concurrent("a message port", () => {
    const { port1 } = new MessageChannel();
    port1.on("message", () => {});
    later(() => port1.close());
  });
  it.concurrent("a file that is polled", () => {
    watchFile(fileURLToPath(import.meta.url), () => {});
    later(() => unwatchFile(fileURLToPath(import.meta.url)));
  });
});

describe("look-alikes", () => {
  it.concurrent("a scope that is closed", async () => {
    await using scope = createScope({ name: "remembered" });
    spawn(scope, (task) => sleep(task, 60_000));
  });
  it.concurrent("a scope that is cancelled and settles by itself", () => {
    const scope = createScope({ name: "cancelled" });
    spawn(scope, (task) => sleep(task, 60_000));
    scope.cancel();
  });
  it.concurrent("a task in the background that ends", async () => {
    await spawn(background, (task) => sleep(task, 5));
  });
  it.concurrent("a task in a shared scope that ends soon after the test", () => {
    spawn(shared, (task) => sleep(task, 50));
  });
  it.concurrent("a child of a shared scope that is closed", async () => {
    const child = createScope(shared, { name: "closed child" });
    await child.close();
  });
  it.concurrent("a body that returns after the test", () => {
    void withScope({ name: "late" }, (scope) => sleep(scope, 50));
  });
  it.concurrent("a scope that a hook of the test closes", () => {
    const scope = createScope({ name: "hooked" });
    onTestFinished(() => scope.close());
  });
  it.concurrent("a promise that never settles", () => {
    void never();
  });
  it.concurrent("a timeout that is cleared", () => {
    clearTimeout(setTimeout(() => {}, 60_000));
  });
  it.concurrent("a timeout that ends soon after the test", () => {
    setTimeout(() => {}, 50);
  });
  it.concurrent("an interval that does not hold the process", () => {
    const timer = setInterval(() => {}, 60_000).unref();
    later(() => clearInterval(timer));
  });
  it.concurrent("AbortSignal.timeout", () => {
    AbortSignal.timeout(60_000).addEventListener("abort", () => {});
  });
  it.concurrent("a server that is closed", async () => {
    const server = createServer().listen(local);
    await once(server, "listening");
    server.close();
  });
  it.concurrent("a connection kept alive for the next request", async () => {
    const agent = new Agent({ keepAlive: true });
    // Its end of the connection does hold the process, so the server does not belong to the test.
    const response = await request(agent, await sharedServer);
    response.resume();
    await once(response, "end");
    later(() => agent.destroy());
  });
  it.concurrent("a UDP socket that does not hold the process", async () => {
    const socket = createSocket("udp4").bind(0, local.host);
    await once(socket, "listening");
    socket.unref();
    later(() => socket.close());
  });
  it.concurrent("a file watcher that is stopped", () => {
    watch(tmpdir()).close();
  });
  it.concurrent("a child process that ends", async () => {
    const child = startProcess(process.execPath, ["-e", ""]);
    await once(child, "exit");
  });
  it.concurrent("a thread that is terminated", async () => {
    const worker = new Worker("setInterval(() => {}, 1_000)", { eval: true });
    await once(worker, "online");
    await worker.terminate();
  });
  it.concurrent("a message channel that nobody listens to", () => {
    const channel = new MessageChannel();
    later(() => channel.port1.close());
  });
  it.concurrent("files that are read and closed", async () => {
    readFileSync(new URL(import.meta.url));
    await using file = await open(new URL(import.meta.url));
    await file.readFile();
  });
});

const sharedServer = new Promise<number>((resolve) => {
  const server = createHttpServer((_, response) => response.end("ok")).listen(local, () =>
    resolve(portOf(server)),
  );
  later(() => {
    server.closeAllConnections();
    server.close();
  });
});

async function request(agent: Agent, port: number): Promise<IncomingMessage> {
  const [response] = (await once(get({ ...local, port, agent }), "response")) as [IncomingMessage];
  return response;
}
