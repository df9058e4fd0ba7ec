// A server of the benchmark, in a process of its own: `server.ts <framework> <variant>`.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import express, { type NextFunction, type Request, type Response } from "express";
import express4 from "express4";
import Fastify, { type FastifyRequest } from "fastify";
import { expressBough } from "../../src/express/index.js";
import { fastifyBough } from "../../src/fastify/index.js";
import { requestScope, serverScope } from "../../src/http/index.js";
import { answerBenchmark, jobOf } from "./work.js";

const [framework, variant] = process.argv.slice(2);
const job = jobOf(variant);
const { mounted, idle } = job;

/** A controller for the request, which aborts when the client leaves before the answer. */
function controllerOf(response: ServerResponse): AbortController {
  const controller = new AbortController();
  response.on("close", () => {
    if (!response.writableEnded) controller.abort();
  });
  return controller;
}

function makeNode(): Server {
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    void job
      .work(
        () => controllerOf(response),
        () => requestScope(request, response),
      )
      .then((value) => {
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify(value));
      });
  });
  if (mounted) serverScope(server);
  return server;
}

function makeExpress(create: typeof express): Server {
  const app = create();
  if (mounted) app.use(expressBough());
  if (idle) app.use((_request: Request, _response: Response, next: NextFunction) => next());
  app.get("/", (request, response) => {
    void job
      .work(
        () => controllerOf(response),
        () => request.scope,
      )
      .then((value) => response.json(value));
  });
  return createServer(app);
}

async function makeFastify(): Promise<Server> {
  const app = Fastify();
  if (mounted) await app.register(fastifyBough);
  if (idle) app.addHook("onRequest", (_request, _reply, done) => done());
  app.get("/", (request: FastifyRequest, reply) =>
    job.work(
      () => controllerOf(reply.raw),
      () => request.scope,
    ),
  );
  await app.ready();
  return app.server;
}

const servers: Record<string, () => Promise<Server>> = {
  http: () => Promise.resolve(makeNode()),
  express: () => Promise.resolve(makeExpress(express)),
  express4: () => Promise.resolve(makeExpress(express4)),
  fastify: makeFastify,
};

const make = servers[framework ?? ""];
if (make === undefined) throw new Error(`no framework ${framework}`);
const server = await make();
server.keepAliveTimeout = 0; // the clients wait while others have their turn
server.listen(0, "127.0.0.1", () => {
  answerBenchmark((server.address() as AddressInfo).port);
});
