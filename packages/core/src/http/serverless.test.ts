import { EventEmitter } from "node:events";
import { createServer, IncomingMessage, ServerResponse } from "node:http";
import { configure as serverlessExpress } from "@codegenie/serverless-express";
import express from "express";
import Fastify from "fastify";
import Koa from "koa";
import serverless from "serverless-http";
import { describe, expect, it } from "vitest";
import { expressBough } from "../express/index.js";
import { fastifyBough } from "../fastify/index.js";
import { sleep, type Scope } from "../index.js";
import { requestScope, serverScope } from "./index.js";

// Requests without a connection: adapters of serverless platforms and `inject()` hand mocks to the application.

interface Answer {
  readonly statusCode: number;
}

/** The event by which AWS describes a request. */
const event = (path: string): object => ({
  version: "2.0",
  routeKey: "$default",
  rawPath: path,
  rawQueryString: "",
  headers: { host: "localhost" },
  requestContext: { http: { method: "GET", path, sourceIp: "127.0.0.1" }, stage: "$default" },
  body: null,
  isBase64Encoded: false,
});

/** An application whose `/ok` answers within its scope, and whose `/slow` does not answer in time. */
function expressApp(scopes: Scope[], timeout?: number): express.Express {
  const app = express().use(expressBough({ timeout }));
  app.get("/:kind", async (request, response) => {
    scopes.push(request.scope);
    await sleep(request.scope, request.params.kind === "ok" ? 1 : Infinity);
    response.send("ok");
  });
  return app;
}

type Call = (path: string) => Promise<Answer>;

const hosts: Record<string, (scopes: Scope[], timeout?: number) => Call> = {
  "Express with serverless-http": (scopes, timeout) => {
    const handler = serverless(expressApp(scopes, timeout));
    return async (path) => (await handler(event(path), {})) as Answer;
  },
  "Express with serverless-express": (scopes, timeout) => {
    const handler = serverlessExpress({ app: expressApp(scopes, timeout) }) as unknown as (
      ...args: unknown[]
    ) => Promise<Answer>;
    return (path) => handler(event(path), {}, () => undefined);
  },
  "Express that is called with mocks": (scopes, timeout) => {
    const app = expressApp(scopes, timeout);
    return (path) => mock(path, (request, response) => app(request, response));
  },
  "Fastify with inject()": (scopes, timeout) => {
    const app = Fastify();
    void app.register(fastifyBough, { timeout });
    app.get<{ Params: { kind: string } }>("/:kind", async (request) => {
      scopes.push(request.scope);
      await sleep(request.scope, request.params.kind === "ok" ? 1 : Infinity);
      return "ok";
    });
    return (path) => app.inject(path);
  },
  "Koa with serverless-http": (scopes, timeout) => {
    const app = new Koa().use(async (context) => {
      const scope = requestScope(context.req, context.res, { timeout });
      scopes.push(scope);
      context.status = 503;
      if (context.path === "/ok") context.body = "ok";
      else await sleep(scope, Infinity).catch(() => (context.body = "late"));
      if (context.path === "/ok") context.status = 200;
    });
    const handler = serverless(app);
    return async (path) => (await handler(event(path), {})) as Answer;
  },
  "a server that emits mocks": (scopes, timeout) => {
    const server = createServer((request, response) => {
      const scope = requestScope(request, response, { timeout });
      scopes.push(scope);
      sleep(scope, request.url === "/ok" ? 1 : Infinity).then(
        () => response.end("ok"),
        () => undefined,
      );
    });
    serverScope(server);
    return (path) => mock(path, (request, response) => server.emit("request", request, response));
  },
};

/** Calls an application with mocks. Their response finishes, but has no connection that closes. */
async function mock(
  path: string,
  call: (request: IncomingMessage, response: ServerResponse) => unknown,
  socket: object = {},
): Promise<Answer> {
  const request = Object.assign(new IncomingMessage(socket as never), { url: path, method: "GET" });
  const response = new ServerResponse(request);
  response.assignSocket(Object.assign(new EventEmitter(), writable) as never);
  const finished = new Promise((resolve) => response.once("finish", resolve));
  call(request, response);
  await finished;
  return response;
}

const writable = {
  writable: true,
  _writableState: {},
  cork: () => undefined,
  uncork: () => undefined,
  destroy: () => undefined,
  write: (_data: unknown, encoding: unknown, done: unknown = encoding) => {
    if (typeof done === "function") done();
    return true;
  },
};

describe.each(Object.entries(hosts))("a request without a connection, of %s", (_, make) => {
  it("rule 28: has a scope that ends with its response", async () => {
    const scopes: Scope[] = [];
    const answer = await make(scopes)("/ok");
    expect(answer.statusCode).toBe(200);
    await expect.poll(() => scopes[0]?.state).toBe("closed");
    expect(scopes[0]?.reason).toBeUndefined();
  });

  it("rule 30: is answered with 503 when its time is up, and its scope ends then", async () => {
    const scopes: Scope[] = [];
    const answer = await make(scopes, 5)("/slow");
    expect(answer.statusCode).toBe(503);
    await expect.poll(() => scopes[0]?.state).toBe("closed");
    expect(scopes[0]?.reason).toMatchObject({ kind: "deadline" });
  });
});

describe("requests without a connection", () => {
  it.each([
    { kind: "has no methods", socket: () => ({}) },
    { kind: "emits events", socket: () => new EventEmitter() },
    { kind: "is the same for all", socket: (shared: object) => shared },
  ])(
    "rule 29: are none that a shutdown waits for after their responses, if their socket $kind",
    async ({ socket }) => {
      const shared = new EventEmitter();
      const server = createServer((request, response) => {
        if (request.url === "/used") requestScope(request, response).defer(() => undefined);
        response.end();
      });
      const scope = serverScope(server);
      for (const path of ["/used", "/unused", "/used"])
        await mock(path, (request, response) => server.emit("request", request, response), socket(shared));
      expect(await scope.shutdown()).toMatchObject({ running: 0, cancelled: 0, cutOff: 0 });
    },
  );

  it("rule 29: are finished by a shutdown that begins before their responses", async () => {
    const requests: [IncomingMessage, ServerResponse][] = [];
    const server = createServer((...request) => requests.push(request));
    const scope = serverScope(server);
    const answers = ["/a", "/b"].map((path) =>
      mock(path, (request, response) => server.emit("request", request, response)),
    );
    const report = scope.shutdown();
    for (const [, response] of requests) response.end();
    await Promise.all(answers);
    expect(await report).toMatchObject({ running: 2, cancelled: 0, cutOff: 0 });
  });
});
