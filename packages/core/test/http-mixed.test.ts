import http from "node:http";
import type { Server } from "node:net";
import express from "express";
import Fastify from "fastify";
import { describe, it } from "vitest";
import { expressBough } from "../src/express/index.js";
import { fastifyBough } from "../src/fastify/index.js";
import { expectExactCancellations, work, type Fates } from "./support/mixed-requests.js";

function overExpress(fates: Fates): Server {
  const app = express();
  app.set("env", "production"); // otherwise it prints no failures when NODE_ENV is "test"
  app.use(expressBough());
  app.use(express.json());
  app.all("/:id/:what", async (request, response) => {
    const { id, what } = request.params;
    await work(request.scope, id, fates, what === "hang");
    response.json({ id, body: request.body as unknown });
  });
  return http.createServer(app);
}

async function overFastify(fates: Fates, logged: unknown[]): Promise<Server> {
  const stream = { write: (line: string) => void logged.push(line) };
  const app = Fastify({ logger: { level: "warn", stream } });
  await app.register(fastifyBough);
  app.all<{ Params: { id: string; what: string } }>("/:id/:what", async (request) => {
    const { id, what } = request.params;
    await work(request.scope, id, fates, what === "hang");
    return { id, body: request.body };
  });
  await app.ready();
  return app.server;
}

describe.each([
  { host: "Express", make: overExpress },
  { host: "Fastify", make: overFastify },
])("$host under thousands of mixed requests", ({ host, make }) => {
  it(
    "rule 28: cancels the requests of disconnected clients, and no others",
    { timeout: 120_000 },
    async () => {
      const fates: Fates = new Map();
      const logged: unknown[] = [];
      await expectExactCancellations(host, await make(fates, logged), fates, logged);
    },
  );
});
