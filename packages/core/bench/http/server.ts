// A server of the benchmark, in a process of its own: `server.ts <framework> <variant>`.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import express, { type NextFunction, type Request, type Response } from "express";
import express4 from "express4";
import Fastify, { type FastifyRequest } from "fastify";
import { expressBough } from "../../src/express/index.js";
import { fastifyBough } from "../../src/fastify/index.js";
import { requestScope, serverScope } from "../../src/http/index.js";
import { all, spawn, type Scope } from "../../src/index.js";

const [framework, variant] = process.argv.slice(2);
const used = variant === "used";
const combined = variant === "all()";
const mounted = variant === "unused" || used || combined;
const byHand = variant === "same job by hand";
const unjoined = variant === "by hand, no join";
const idle = variant === "idle";
const body = { hello: "world" };

/** One of the three things a handler does; by itself it takes a turn of the microtask queue. */
async function part(): Promise<number> {
  await Promise.resolve();
  return 1;
}

async function plainWork(): Promise<unknown> {
  await Promise.all([part(), part(), part()]);
  return body;
}

/** Does something while the signal is listened to, as `fetch` would. */
async function listening(signal: AbortSignal, work: () => Promise<unknown>): Promise<unknown> {
  const onAbort = (): void => undefined;
  signal.addEventListener("abort", onAbort);
  await work();
  signal.removeEventListener("abort", onAbort);
  return body;
}

/** The same three things as child tasks of the request's scope. */
const scopedWork = (scope: Scope): Promise<unknown> =>
  listening(scope.signal, () => Promise.all([spawn(scope, part), spawn(scope, part), spawn(scope, part)]));

/** The same by the combinator. */
const combinedWork = (scope: Scope): Promise<unknown> =>
  listening(scope.signal, () => all(scope, [part, part, part]));

/** A controller for the request, which aborts when the client leaves before the answer. */
function controllerOf(response: ServerResponse): AbortController {
  const controller = new AbortController();
  response.on("close", () => {
    if (!response.writableEnded) controller.abort();
  });
  return controller;
}

/** The same job by hand: the first failure aborts the other tasks, and all of them have settled before the answer. */
function handWork(response: ServerResponse): Promise<unknown> {
  const controller = controllerOf(response);
  const { signal } = controller;
  const fail = (error: unknown): void => controller.abort(error);
  return listening(signal, async () => {
    const tasks = [part(), part(), part()];
    for (const task of tasks) task.catch(fail);
    const results = await Promise.allSettled(tasks);
    signal.throwIfAborted(); // with the first failure
    return results;
  });
}

/** The controller and the listener alone: a failure neither aborts the other tasks nor waits for them. */
function unjoinedWork(response: ServerResponse): Promise<unknown> {
  return listening(controllerOf(response).signal, () => Promise.all([part(), part(), part()]));
}

function work(response: ServerResponse, scope: () => Scope): Promise<unknown> {
  if (used) return scopedWork(scope());
  if (combined) return combinedWork(scope());
  if (byHand) return handWork(response);
  return unjoined ? unjoinedWork(response) : plainWork();
}

function makeNode(): Server {
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    void work(response, () => requestScope(request, response)).then((value) => {
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
    void work(response, () => request.scope).then((value) => response.json(value));
  });
  return createServer(app);
}

async function makeFastify(): Promise<Server> {
  const app = Fastify();
  if (mounted) await app.register(fastifyBough);
  if (idle) app.addHook("onRequest", (_request, _reply, done) => done());
  app.get("/", (request: FastifyRequest, reply) => work(reply.raw, () => request.scope));
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
  process.send?.({ port: (server.address() as AddressInfo).port });
});

let before = process.cpuUsage();

function tell(): void {
  const { user } = process.cpuUsage(before); // what the system does is the same for all
  before = process.cpuUsage();
  process.send?.({ cpu: user, heap: process.memoryUsage().heapUsed });
}

// V8 keeps a shape that nothing has any more for some collections, and a tick that waits would keep that of ticks.
process.on("message", (message) => {
  if (message !== "collect") return tell();
  setTimeout(() => {
    for (let round = 0; round < 6; round++) globalThis.gc?.();
    tell();
  }, 5);
});
process.once("disconnect", () => process.exit());
