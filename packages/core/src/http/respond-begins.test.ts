import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import Fastify from "fastify";
import { describe, expect, it, onTestFinished } from "vitest";
import { expressBough } from "../express/index.js";
import { fastifyBough } from "../fastify/index.js";
import { sleep } from "../index.js";
import { requestScope, serverScope } from "./index.js";

/** Sends a request, and says whether its answer came to its end. */
async function get(port: number): Promise<{ status: number | undefined; body: string; isWhole: boolean }> {
  const request = http.get({ port, host: "127.0.0.1", agent: false });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  let body = "";
  response.on("data", (chunk: Buffer) => (body += chunk.toString()));
  await new Promise((resolve) => response.on("close", resolve).on("error", () => undefined));
  return { status: response.statusCode, body, isWhole: response.complete };
}

interface Writable {
  writeHead(status: number): unknown;
  write(chunk: string): unknown;
}

type Begin = (response: Writable) => void;

const servers: [string, (begin: Begin) => Promise<number>][] = [
  [
    "node:http",
    async (begin) => {
      const server = http.createServer((request, response) => {
        sleep(requestScope(request, response, { timeout: 20 }), 60_000).catch(() => undefined);
      });
      serverScope(server, { respond: (_outcome, _request, response) => begin(response) });
      return portOf(server);
    },
  ],
  [
    "Express",
    async (begin) => {
      const app = express();
      app.use(expressBough({ timeout: 20, respond: (_outcome, _request, response) => begin(response) }));
      app.get("/", async ({ scope }) => sleep(scope, 60_000));
      return portOf(http.createServer(app));
    },
  ],
  [
    "Fastify",
    async (begin) => {
      const app = Fastify();
      await app.register(fastifyBough, {
        timeout: 20,
        respond: (_outcome, _request, reply) => {
          reply.hijack();
          begin(reply.raw);
        },
      });
      app.get("/", ({ scope }) => sleep(scope, 60_000));
      await app.ready();
      onTestFinished(() => app.close());
      return portOf(app.server);
    },
  ],
];

async function portOf(server: http.Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

describe.each(servers)("rule 30: an answer that respond() has begun on %s", (_, make) => {
  it("is cut off when it is not ended and nothing is written any more", async () => {
    const port = await make((response) => {
      response.writeHead(503);
      response.write("busy");
    });
    expect(await get(port)).toEqual({ status: 503, body: "busy", isWhole: false });
  });
});
