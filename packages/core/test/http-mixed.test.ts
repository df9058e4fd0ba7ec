import http from "node:http";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import express from "express";
import Fastify from "fastify";
import { it } from "vitest";
import { expressBough } from "../src/express/index.js";
import { fastifyBough } from "../src/fastify/index.js";
import { serverScope } from "../src/http/index.js";
import {
  expectExactCancellations,
  expectPlantsFound,
  respondMixed,
  type MakeServer,
} from "./support/mixed-node-host.js";

const overExpress: MakeServer = (log) => {
  const app = express();
  app.set("env", "production"); // otherwise it prints no failures when NODE_ENV is "test"
  app.use(async (request, _response, next) => {
    await log.arrive(request.url);
    next();
  });
  app.use(expressBough({ onCancelled: log.onCancelled }));
  app.use(express.json());
  const server = http.createServer(app);
  app.all("/:id/:what", async (request, response) => {
    const { id, what } = request.params;
    const body = async (): Promise<string> =>
      what === "body" ? JSON.stringify(request.body) : text(request);
    const answer = await respondMixed(log, {
      id,
      what,
      scope: request.scope,
      root: serverScope(server),
      body,
    });
    if (typeof answer === "string") response.send(answer);
    else await pipeline(answer, response);
  });
  return server;
};

const overFastify: MakeServer = async (log, logged) => {
  const stream = { write: (line: string) => void logged.push(line) };
  const app = Fastify({ logger: { level: "warn", stream } });
  app.addHook("onRequest", async ({ url }) => log.arrive(url));
  await app.register(fastifyBough, { onCancelled: log.onCancelled });
  app.addContentTypeParser("application/octet-stream", (_request, payload, done) => done(null, payload));
  app.all<{ Params: { id: string; what: string } }>("/:id/:what", async (request) => {
    const { id, what } = request.params;
    const body = async (): Promise<string> =>
      what === "body" ? JSON.stringify(request.body) : text(request.raw);
    return respondMixed(log, { id, what, scope: request.scope, root: serverScope(app.server), body });
  });
  await app.ready();
  return app.server;
};

it(
  "rule 28: Express under thousands of mixed requests cancels those of disconnected clients, and no others",
  { timeout: 240_000 },
  () => expectExactCancellations("Express", overExpress),
);

it("the test of Express under mixed requests finds planted faults", () => expectPlantsFound(overExpress));

it(
  "rule 28: Fastify under thousands of mixed requests cancels those of disconnected clients, and no others",
  { timeout: 240_000 },
  () => expectExactCancellations("Fastify", overFastify),
);

it("the test of Fastify under mixed requests finds planted faults", () => expectPlantsFound(overFastify));
