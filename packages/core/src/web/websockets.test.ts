import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import * as current from "@hono/node-server";
import { createNodeWebSocket, type NodeWebSocket } from "@hono/node-ws";
import { Hono, type MiddlewareHandler } from "hono";
import type { WSContext, WSEvents } from "hono/ws";
import * as version1 from "node-server1";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { sleep, spawn } from "../index.js";
import { fetchBough, requestOutcome, requestScope, type FetchBough } from "./index.js";

// WebSockets of Hono on Node, as docs/web.md describes them.

type Handle = FetchBough<Request, unknown[], Response>;
type Upgrade = (events: () => WSEvents) => MiddlewareHandler;

/** Starts a server with one of the ways to upgrade. `prepare` returns Hono's helper. */
interface Way {
  readonly prepare: (app: Hono, handle: Handle) => { upgrade: Upgrade; attach?: (server: Server) => void };
  readonly serve: (handle: Handle) => Server;
}

const serveWith =
  ({ serve }: Pick<typeof current, "serve">, options: () => object = () => ({})) =>
  (handle: Handle): Server =>
    serve({ fetch: handle, port: 0, hostname: "127.0.0.1", ...options() }) as Server;

const helperOf = (helper: NodeWebSocket): ReturnType<Way["prepare"]> => ({
  upgrade: helper.upgradeWebSocket.bind(helper) as Upgrade,
  attach: helper.injectWebSocket.bind(helper),
});

const nodeWs: Way["prepare"] = (_, handle) => {
  const request = (url: URL, init: RequestInit, env: unknown): Promise<Response> =>
    handle(new Request(url, init), env);
  return helperOf(createNodeWebSocket({ app: { request } as never }));
};

const ways: Record<string, Way> = {
  "node-ws, with node-server 1": { prepare: nodeWs, serve: serveWith(version1) },
  "node-ws, with node-server 2": { prepare: nodeWs, serve: serveWith(current) },
  "the option websocket of node-server 2": {
    prepare: () => ({ upgrade: current.upgradeWebSocket as Upgrade }),
    serve: serveWith(current, () => ({ websocket: { server: new WebSocketServer({ noServer: true }) } })),
  },
};

interface Started {
  readonly handle: Handle;
  readonly log: string[];
  readonly connect: () => Promise<WebSocket>;
  readonly server: Server;
}

async function start({ prepare, serve }: Way): Promise<Started> {
  const log: string[] = [];
  const app = new Hono();
  const handle = fetchBough(app, { timeout: 10_000 }) as unknown as Handle;
  const { upgrade, attach } = prepare(app, handle);
  app.use(async (c, next) => {
    requestScope(c.req.raw).defer(() => log.push("the scope of the request has ended"));
    await next();
  });
  app.onError((failure, c) => {
    log.push(String(requestOutcome(c.req.raw, failure).error));
    return c.body(null, 500);
  });
  const sockets = new Set<WSContext>();
  handle.scope.onShutdown(() => {
    for (const socket of sockets) socket.close(1001);
  });
  app.get(
    "/",
    upgrade(() => {
      let stop = (): void => undefined;
      return {
        onOpen(_, socket) {
          sockets.add(socket);
          const job = spawn(handle.scope, async (task) => {
            task.onCancel(({ kind }) => log.push(`the job is cancelled: ${kind}`));
            await sleep(task, Infinity);
          });
          stop = () => job.cancel();
        },
        onMessage(event, socket) {
          socket.send(`you said ${String(event.data)}`);
        },
        onClose(_, socket) {
          sockets.delete(socket);
          log.push("the socket has closed");
          stop();
        },
      };
    }),
  );
  const server = serve(handle);
  attach?.(server);
  if (!server.listening) await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  onTestFinished(() => void server.close());
  const connect = async (): Promise<WebSocket> => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    onTestFinished(() => socket.terminate());
    await once(socket, "open");
    return socket;
  };
  return { handle, log, connect, server };
}

async function say(socket: WebSocket, text: string): Promise<string> {
  const answered = once(socket, "message");
  socket.send(text);
  return String((await answered)[0]);
}

const ended = [
  "the scope of the request has ended",
  "the socket has closed",
  "the job is cancelled: explicit",
];

describe.each(Object.entries(ways))("a WebSocket of Hono by %s", (_, way) => {
  it("rule 28: outlives the scope of its request, and its job ends when the client closes it", async () => {
    const { log, connect } = await start(way);
    const socket = await connect();
    expect(await say(socket, "a")).toBe("you said a");
    expect(log).toEqual(ended.slice(0, 1));
    socket.close();
    await expect.poll(() => log).toEqual(ended);
  });

  it("rule 28: ends its job when the client breaks off", async () => {
    const { log, connect } = await start(way);
    const socket = await connect();
    await say(socket, "a");
    socket.terminate();
    await expect.poll(() => log).toEqual(ended);
  });

  it("rule 29: is closed by a shutdown, which then has nothing to wait for", async () => {
    const { handle, log, connect, server } = await start(way);
    const socket = await connect();
    await say(socket, "a");
    const closed = once(socket, "close");
    server.close();
    expect(await handle.shutdown({ grace: 60_000 })).toMatchObject({ cancelled: 0, stuck: [], cutOff: 0 });
    expect((await closed)[0]).toBe(1001);
    expect(log).toEqual(ended);
  });
});

it("an upgrade by node-ws that does not go through fetchBough is refused, and the process goes on", async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const { log, connect } = await start({
    prepare: (app) => helperOf(createNodeWebSocket({ app })),
    serve: serveWith(version1),
  });
  await expect(connect()).rejects.toThrow("500");
  expect(log).toEqual([expect.stringContaining("requestScope: the request did not go through fetchBough")]);
});
