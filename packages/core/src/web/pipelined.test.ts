import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import * as current from "@hono/node-server";
import { Hono, type Context, type Next } from "hono";
import * as version1 from "node-server1";
import { serve as serveBySrvx } from "srvx";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { sleep, type Scope } from "../index.js";
import { RawConnection } from "../../test/support/http-clients.js";
import { turnUntil } from "../../test/support/turns.js";
import { fetchBough, type CancelledOutcome } from "./index.js";
import { packArguments } from "./host-arguments.js";
import { followConnection } from "./pipelined.js";

// Requests that are pipelined on one connection: the responses wait behind the first one.

type Fetch = (request: Request, ...rest: unknown[]) => Response | Promise<Response>;
type Handler = (request: Request, scope: Scope) => Response | Promise<Response>;

const byNodeServer =
  ({ serve }: Pick<typeof current, "serve">) =>
  (fetch: Fetch): Promise<Server> =>
    new Promise((resolve) => {
      const server = serve({ fetch, port: 0, hostname: "127.0.0.1" }, () => resolve(server as Server));
    });

const hosts: Readonly<Record<string, (fetch: Fetch) => Promise<Server>>> = {
  "node-server 2": byNodeServer(current),
  "node-server 1": byNodeServer(version1),
  srvx: async (fetch) => {
    const server = serveBySrvx({ fetch, port: 0, hostname: "127.0.0.1", gracefulShutdown: false });
    await server.ready();
    return server.node?.server as Server;
  },
};

/** The handler by itself, or as a middleware of Hono. */
const forms: Readonly<Record<string, (handler: Handler, outcomes: CancelledOutcome[]) => Fetch>> = {
  plain: (handler, outcomes) =>
    fetchBough((request: Request, scope: Scope, ..._rest: unknown[]) => handler(request, scope), {
      onCancelled: (outcome) => void outcomes.push(outcome),
    }),
  "middleware of Hono": (handler, outcomes) => {
    const app = new Hono();
    const handle = fetchBough(
      (request: Request, scope: Scope, _c: Context, _next: Next) => handler(request, scope),
      { onCancelled: (outcome) => void outcomes.push(outcome) },
    );
    app.use(async (c, next) => {
      c.res = await handle(c.req.raw, c, next);
    });
    return (request, ...rest) => app.fetch(request, ...(rest as []));
  },
};

interface Bench {
  readonly scopes: Scope[];
  readonly outcomes: CancelledOutcome[];
  readonly connection: RawConnection;
  /** The sockets of the server. */
  readonly sockets: Socket[];
}

async function start(
  host: string,
  handler: Handler,
  form: Parameters<typeof formOf>[0] = "plain",
): Promise<Bench> {
  const scopes: Scope[] = [];
  const outcomes: CancelledOutcome[] = [];
  const fetch = formOf(form)((request, scope) => {
    scopes.push(scope);
    return handler(request, scope);
  }, outcomes);
  const server = await (hosts[host] as (fetch: Fetch) => Promise<Server>)(fetch);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const sockets: Socket[] = [];
  server.on("connection", (socket) => sockets.push(socket));
  const connection = new RawConnection((server.address() as AddressInfo).port);
  onTestFinished(() => void connection.socket.destroy());
  return { scopes, outcomes, connection, sockets };
}

function formOf(form: "plain" | "middleware of Hono"): (typeof forms)[string] {
  return forms[form] as (typeof forms)[string];
}

const waits: Handler = async (_, scope) => {
  await sleep(scope, 100_000);
  return new Response("never");
};

const streams: Handler = (_, scope) => {
  void scope.signal;
  return new Response(
    new ReadableStream({
      async pull(controller) {
        await sleep(scope, 5);
        controller.enqueue(new Uint8Array([97]));
      },
    }),
  );
};

const cases = Object.keys(hosts).flatMap((host) =>
  (["plain", "middleware of Hono"] as const).map((form) => ({ host, form })),
);

describe.each(cases)("rule 28: a pipelined request on $host, $form", ({ host, form }) => {
  it.each([
    ["is handled", waits],
    ["has a body that is being sent", streams],
  ])("ends when the client disconnects while it %s and waits behind another one", async (_, handler) => {
    const { scopes, outcomes, connection, sockets } = await start(
      host,
      (request, scope) => (request.url.endsWith("/first") ? waits : handler)(request, scope),
      form,
    );
    for (const path of ["/first", "/second", "/third"]) void connection.request({ path });
    await vi.waitUntil(() => scopes.length === 3, 10_000);
    const closed = once(sockets[0] as Socket, "close");
    connection.socket.destroy();
    await closed;
    await turnUntil(() => scopes.every(({ state }) => state === "closed"));
    expect(scopes.map(({ state }) => state)).toEqual(Array(3).fill("closed"));
    expect(scopes.map(({ reason }) => reason?.kind)).toEqual(Array(3).fill("disconnected"));
    expect(outcomes.map(({ status }) => status)).toEqual([499, 499, 499]);
  });

  it("is answered in its turn, and leaves no listener behind when it was", async () => {
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const { scopes, outcomes, connection, sockets } = await start(
      host,
      async (request, scope) => {
        void scope.signal;
        await gate;
        return new Response(new URL(request.url).pathname);
      },
      form,
    );
    const paths = Array.from({ length: 15 }, (_, index) => `/${index}`);
    const exchanges = paths.map((path) => connection.request({ path }));
    await vi.waitUntil(() => scopes.length === paths.length, 10_000);
    await new Promise((resolve) => setTimeout(resolve, 50)); // by then, they are followed
    expect(sockets[0]?.listenerCount("close")).toBeLessThan(10);
    go();
    const answers = await Promise.all(exchanges.map(({ answer }) => answer));
    expect(answers.map((answer) => answer?.body)).toEqual(paths);
    connection.socket.destroy();
    await vi.waitUntil(() => scopes.every(({ state }) => state === "closed"), 10_000);
    expect(scopes.map(({ reason }) => reason)).toEqual(paths.map(() => undefined));
    expect(outcomes).toEqual([]);
  });
});

describe("followConnection()", () => {
  it("announces the close of a connection at once if it has closed before", () => {
    const told: string[] = [];
    const outgoing = {
      socket: null,
      req: { socket: { destroyed: true } },
      destroyed: false,
      emit: (event: string) => told.push(event),
    };
    followConnection(new Request("http://localhost/"), packArguments([{ outgoing }]));
    followConnection(new Request("http://localhost/"), packArguments([{ outgoing }]));
    expect(told).toEqual(["close"]);
  });

  it.each([[[]], [[undefined]], [["text"]], [[{ outgoing: {} }]], [[{ env: null }]], [[{ env: undefined }]]])(
    "ignores what other hosts pass: %j",
    (rest) => {
      followConnection(new Request("http://localhost/"), packArguments(rest));
    },
  );
});
