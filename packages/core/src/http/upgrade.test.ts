import { once } from "node:events";
import http, { type IncomingMessage } from "node:http";
import type { AddressInfo, Server } from "node:net";
import type { Duplex } from "node:stream";
import express from "express";
import Fastify from "fastify";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { expressBough } from "../express/index.js";
import { fastifyBough } from "../fastify/index.js";
import { sleep, spawn, type CancelledError, type Scope, type Task } from "../index.js";
import { deferred, flush, rejection } from "../../test/support/deferred.js";
import { RawConnection } from "../../test/support/http-clients.js";
import { serverStateOf } from "./server-scope.js";
import { requestScope, serverScope } from "./index.js";

// An upgraded request, whose scope lives as long as its socket does.

const hosts: Record<string, () => Server | Promise<Server>> = {
  "node:http": () => http.createServer(),
  Express: () => http.createServer(express().use(expressBough())),
  Fastify: async () => {
    const app = Fastify();
    await app.register(fastifyBough);
    await app.ready();
    return app.server;
  },
};

interface Upgraded {
  readonly server: Server;
  readonly client: WebSocket;
  /** The server's end. */
  readonly socket: WebSocket;
  readonly scope: Scope;
  /** Waits in the scope. */
  readonly task: Task<void>;
  readonly reason: Promise<CancelledError>;
}

/** @param moment - When the scope is asked for: before the library has got the socket, or after. */
async function upgrade(make: () => Server | Promise<Server>, moment = "before"): Promise<Upgraded> {
  const server = await make();
  const sockets = new WebSocketServer({ noServer: true });
  const upgraded = deferred<Pick<Upgraded, "socket" | "scope">>();
  server.on("upgrade", (request: IncomingMessage, duplex: Duplex, head: Buffer) => {
    if (moment === "before") requestScope(request, duplex);
    sockets.handleUpgrade(request, duplex, head, (socket) => {
      upgraded.resolve({ socket, scope: requestScope(request, duplex) });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/chat?secret`);
  client.on("error", () => undefined);
  onTestFinished(() => {
    client.terminate();
    server.close();
  });
  const { scope, socket } = await upgraded.promise;
  if (client.readyState !== WebSocket.OPEN) await once(client, "open");
  const task = spawn(scope, (inner) => sleep(inner, Infinity));
  const reason = new Promise<CancelledError>((resolve) => scope.onCancel(resolve));
  return { server, client, socket, scope, task, reason };
}

const stateOf = ({ server }: Upgraded): ReturnType<typeof serverStateOf> => serverStateOf(server);

describe.each(Object.keys(hosts))("a WebSocket over %s", (host) => {
  const make = hosts[host] as () => Server | Promise<Server>;

  it("has a scope of the server as long as it is open, for any data that it gets", async () => {
    const upgraded = await upgrade(make);
    const { client, socket, scope, server } = upgraded;
    expect(scope).toMatchObject({ path: "server/GET /chat", state: "open" });
    const echoed = once(client, "message");
    socket.on("message", (text) => socket.send(text));
    client.send("hello");
    expect(String((await echoed)[0])).toBe("hello");
    expect(scope.state).toBe("open");
    expect(stateOf(upgraded).records.length).toBe(1);
    expect(serverScope(server).cancelled).toBe(false);
  });

  it.each(["before", "after"])(
    "rule 28: is disconnected when its client breaks off; the scope was asked for %s the upgrade",
    async (moment) => {
      const upgraded = await upgrade(make, moment);
      upgraded.client.terminate();
      const reason = await upgraded.reason;
      expect(reason.kind).toBe("disconnected");
      expect(await rejection(upgraded.task)).toBe(reason);
      if (upgraded.socket.readyState !== WebSocket.CLOSED) await once(upgraded.socket, "close");
      await expect.poll(() => upgraded.scope.state).toBe("closed");
      expect(stateOf(upgraded).records.length).toBe(0);
      expect(stateOf(upgraded).openRequests()).toEqual([]);
    },
  );

  it.each(["client", "socket"] as const)(
    "rule 29: is done when it is closed in good order: by the %s",
    async (end) => {
      const upgraded = await upgrade(make);
      upgraded[end].close(1000);
      const reason = await upgraded.reason;
      expect(reason.kind).toBe("closed"); // since a task was still running
      expect(await rejection(upgraded.task)).toBe(reason);
      await expect.poll(() => upgraded.scope.state).toBe("closed");
      expect(stateOf(upgraded).records.length).toBe(0);
    },
  );

  it("rule 32: is cancelled when the grace period of a shutdown is over, and may say goodbye", async () => {
    const { server, client, socket, scope, reason } = await upgrade(make);
    scope.onCancel(() => socket.close(1001));
    const closed = once(client, "close");
    const report = await serverScope(server).shutdown({ grace: 1 });
    expect((await reason).kind).toBe("shutdown");
    expect((await closed)[0]).toBe(1001);
    expect(report).toMatchObject({ running: 1, cancelled: 1, stuck: [] });
    expect(scope.state).toBe("closed");
  });

  it("rule 32: is cut off and named when its handler ignores the cancellation", async () => {
    const { server, client, scope } = await upgrade(make);
    const closed = once(client, "close");
    const report = await serverScope(server).shutdown({ grace: 0 });
    expect((await closed)[0]).toBe(1006);
    expect(report.stuck.map(({ path }) => path)).toEqual(["server/GET /chat"]);
    await expect.poll(() => scope.state).toBe("closed");
  });
});

describe("requestScope() after an upgrade", () => {
  /** Upgrades a connection to a protocol that `serve` speaks. */
  async function connect(serve: (socket: Duplex) => void): Promise<{ scope: Scope; client: RawConnection }> {
    const server = http.createServer();
    const upgraded = deferred<Scope>();
    server.on("upgrade", (request: IncomingMessage, socket: Duplex) => {
      socket.on("error", () => undefined);
      upgraded.resolve(requestScope(request, socket));
      socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n");
      serve(socket);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = new RawConnection((server.address() as AddressInfo).port);
    onTestFinished(() => {
      client.socket.destroy();
      server.close();
    });
    client.socket.allowHalfOpen = true;
    const { answer } = client.request({ headers: { connection: "upgrade", upgrade: "x" } });
    expect((await answer)?.status).toBe(101);
    return { scope: await upgraded.promise, client };
  }

  it("rule 28: is not cancelled by a half-closing client that is still sent something", async () => {
    const ended = deferred<Duplex>();
    const { scope, client } = await connect((socket) => {
      socket.resume();
      socket.on("end", () => ended.resolve(socket));
    });
    client.socket.end();
    const socket = await ended.promise;
    await flush();
    expect(scope).toMatchObject({ state: "open", cancelled: false });
    const data = once(client.socket, "data");
    socket.end("the rest");
    expect((await data)[0]).toBe("the rest");
    await once(socket, "close");
    await flush();
    expect(scope).toMatchObject({ state: "closed", cancelled: false });
  });

  it("rule 28: is disconnected when the socket is destroyed", async () => {
    const sockets: Duplex[] = [];
    const { scope } = await connect((socket) => sockets.push(socket));
    const reason = new Promise<CancelledError>((resolve) => scope.onCancel(resolve));
    sockets[0]?.destroy();
    expect((await reason).kind).toBe("disconnected");
  });

  it("rule 32: a socket whose scope was never read does not delay a shutdown", async () => {
    const server = http.createServer();
    const scope = serverScope(server);
    server.on("upgrade", (_request: IncomingMessage, socket: Duplex) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = new RawConnection((server.address() as AddressInfo).port);
    onTestFinished(() => void client.socket.destroy());
    await client.request({ headers: { connection: "upgrade", upgrade: "x" } }).answer;
    expect(await scope.shutdown({ grace: 60_000 })).toMatchObject({ running: 0, cancelled: 0, stuck: [] });
    expect(client.socket.readableEnded).toBe(false);
    expect(scope.state).toBe("closed");
  });

  it("rule 28: starts disconnected when the socket is closed already", async () => {
    const server = http.createServer();
    const born = deferred<Scope>();
    server.on("upgrade", (request: IncomingMessage, socket: Duplex) => {
      socket.once("close", () => born.resolve(requestScope(request, socket)));
      socket.destroy();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const client = new RawConnection((server.address() as AddressInfo).port);
    client.request({ headers: { connection: "upgrade", upgrade: "x" } });
    expect(await born.promise).toMatchObject({ state: "closed", reason: { kind: "disconnected" } });
  });
});
