import { once } from "node:events";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import http2 from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { onTestFinished } from "vitest";
import { deferred } from "./deferred.js";
import { openClient, type Client, type Exchange, type RequestInput, type Transport } from "./http-clients.js";

export interface Bench {
  readonly server: Server;
  readonly port: number;
  /** Lets the request go on that stands in front of a pipelined one. */
  readonly release: () => void;
  /** Sends the request of the test. */
  readonly request: (input?: RequestInput) => Promise<Exchange>;
  readonly connect: () => Promise<Client>;
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

export function makeServer(transport: Transport, handler: Handler): Server {
  return transport === "http/2"
    ? http2.createServer(handler as never)
    : http.createServer((request, response) => void handler(request, response));
}

/** Starts a server, of the kind that `transport` needs, on a port of its own; it ends with the test. */
export async function serve(
  transport: Transport,
  handler: Handler,
  make: (transport: Transport, handler: Handler) => Server | Promise<Server> = makeServer,
): Promise<Bench> {
  const first = deferred();
  const server = await make(transport, (request, response) => {
    if (request.url === "/warm-up") return void response.end("warm");
    if (request.url === "/first") return void first.promise.then(() => response.end("first"));
    return handler(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const clients: Client[] = [];
  const connect = async (): Promise<Client> => {
    const client = await openClient(transport, port);
    clients.push(client);
    return client;
  };
  onTestFinished(() => {
    first.resolve();
    for (const client of clients) client.close();
    (server as Partial<http.Server>).closeAllConnections?.();
    server.close();
  });
  return {
    server,
    port,
    connect,
    release: first.resolve,
    request: async (input) => (await connect()).request(input),
  };
}
