import { once, type EventEmitter } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { expect, it } from "vitest";
import { RawConnection } from "../../test/support/http-clients.js";
import { serve } from "../../test/support/http-server.js";
import type { Scope } from "../index.js";
import { requestScope, serverScope } from "./index.js";

// A handler may pass a request on to another server in the process, whose scope must see it too: `other.emit("request", …)`.

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

function scopedServer(handler: Handler): Server {
  const server = createServer((request, response) => void handler(request, response));
  serverScope(server);
  return server;
}

const COUNT = 20;

it.each(["http/1.1", "http/2"] as const)(
  "rule 28: two servers that pass requests on to each other add no listener per request over %s",
  async (transport) => {
    const passes = 4;
    let left = 0;
    const other = scopedServer((request, response) => pass(bench.server, request, response));
    const pass = (to: EventEmitter, request: IncomingMessage, response: ServerResponse): void => {
      requestScope(request, response).defer(() => undefined);
      if (left-- > 0) to.emit("request", request, response);
      else response.end("ok");
    };
    const bench = await serve(transport, (request, response) => pass(other, request, response));
    serverScope(bench.server);
    const client = await bench.connect();
    const counts = new Set<number>();
    for (let request = 0; request < COUNT; request++) {
      left = passes;
      bench.server.once("request", ({ socket, stream }: IncomingMessage & { stream?: Socket }) => {
        setImmediate(() => counts.add((stream ?? socket).listenerCount("close")));
      });
      await (
        await client.request({ path: `/${request}` })
      ).answer;
    }
    expect(counts.size).toBe(1);
    await serverScope(other).shutdown();
  },
);

it("rule 29: the shutdown of a server waits for a request that another server has passed on, and not after its response", async () => {
  let finish: () => void = () => undefined;
  const other = scopedServer((_, response) => (finish = () => response.end("late")));
  const bench = await serve("keep-alive", (request, response) => {
    if (request.url === "/own") response.end("own");
    else other.emit("request", request, response);
  });
  serverScope(bench.server);
  const client = await bench.connect();
  const arrived = once(other, "request");
  const first = await client.request({ path: "/other" });
  await arrived;
  finish();
  await first.answer;
  await (
    await client.request({ path: "/own" })
  ).answer;
  const arrivedAgain = once(other, "request");
  const second = await client.request({ path: "/other" });
  await arrivedAgain;
  const report = serverScope(other).shutdown();
  finish();
  expect((await second.answer)?.body).toBe("late");
  expect(await report).toMatchObject({ running: 1, cancelled: 0 });
});

it("rule 28: the requests of every server end when the connection that passes them on closes", async () => {
  const scopes: Scope[] = [];
  const servers: Server[] = [];
  const handler =
    (next: number): Handler =>
    (request, response) => {
      scopes.push(requestScope(request, response));
      servers[next]?.emit("request", request, response);
    };
  servers.push(...[1, 2, 3].map((next) => scopedServer(handler(next))));
  const bench = await serve("http/1.1", handler(0));
  serverScope(bench.server);
  const connection = new RawConnection(bench.port);
  connection.request({ path: "/" });
  await expect.poll(() => scopes.length).toBe(4);
  connection.socket.destroy();
  await expect.poll(() => scopes.map(({ state }) => state)).toEqual(["closed", "closed", "closed", "closed"]);
  expect(new Set(scopes).size).toBe(1); // the first server's
  for (const server of servers)
    expect(await serverScope(server).shutdown()).toMatchObject({ running: 0, cutOff: 0 });
});
