import { once } from "node:events";
import http, { type Server } from "node:http";
import { createRequire } from "node:module";
import { connect, type AddressInfo, type Socket } from "node:net";
import { HttpInstrumentation } from "@opentelemetry/instrumentation-http";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from "@opentelemetry/sdk-trace-base";
import express from "express";
import Fastify from "fastify";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { expressBough } from "../src/express/index.js";
import { fastifyBough } from "../src/fastify/index.js";
import { requestOutcome, requestScope } from "../src/http/index.js";
import { sleep, type Scope } from "../src/index.js";
import { deferred, type Deferred } from "./support/deferred.js";

// The real instrumentation of OpenTelemetry for Node's HTTP servers. It ends a span when its response is closed, and reads
// the status from the response then.

const exporter = new InMemorySpanExporter();
const instrumentation = new HttpInstrumentation({ enabled: false });

beforeAll(() => {
  instrumentation.setTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  );
  instrumentation.enable();
  createRequire(import.meta.url)("node:http"); // it patches a module when that is required
});
afterAll(() => instrumentation.disable());
afterEach(() => exporter.reset());

/** The work of a handler, for any framework. The text is its answer. */
type Work = (scope: Scope, write: (chunk: string) => void) => Promise<string>;

const frameworks: [string, (work: Work, options: { timeout?: number }) => Promise<Server>][] = [
  [
    "node:http",
    async (work, options) => {
      const server = http.createServer((request, response) => {
        const scope = requestScope(request, response, options);
        const write = (chunk: string): void => void response.write(chunk);
        work(scope, write).then(
          (text) => response.end(text),
          (error: unknown) => {
            const { status } = requestOutcome(request, response, error);
            if (status !== 499) response.writeHead(status ?? 500).end();
          },
        );
      });
      return listening(server);
    },
  ],
  [
    "Express",
    async (work, options) => {
      const app = express();
      app.use(expressBough(options));
      app.all("/", async (request, response) => {
        response.end(await work(request.scope, (chunk) => void response.write(chunk)));
      });
      app.use((_error: unknown, _request: unknown, response: express.Response, _next: unknown) => {
        response.status(500).end();
      });
      return listening(http.createServer(app));
    },
  ],
  [
    "Fastify",
    async (work, options) => {
      const app = Fastify({ logger: false });
      await app.register(fastifyBough, options);
      app.all("/", async (request, reply) => {
        const text = await work(request.scope, (chunk) => {
          reply.hijack();
          reply.raw.write(chunk);
        });
        if (!reply.raw.headersSent) return text;
        reply.raw.end(text);
        return reply;
      });
      await app.listen({ port: 0, host: "127.0.0.1" });
      onTestFinished(() => app.close());
      return app.server;
    },
  ],
];

async function listening(server: Server): Promise<Server> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return server;
}

/** Sends a request by hand, so that nothing of the client's is instrumented, and it can leave at any moment. */
async function send(server: Server, request: string): Promise<Socket> {
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.on("error", () => undefined).resume();
  await once(socket, "connect");
  onTestFinished(() => void socket.destroy());
  socket.write(request);
  return socket;
}

const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

async function statusOfSpan(): Promise<unknown> {
  await expect.poll(() => exporter.getFinishedSpans().length, { timeout: 10_000 }).toBe(1);
  const { attributes } = exporter.getFinishedSpans()[0] as ReadableSpan;
  return attributes["http.response.status_code"] ?? attributes["http.status_code"];
}

/** A handler that waits in its scope, and says when it has begun. */
function waiting(begun: Deferred<void>): Work {
  return async (scope) => {
    begun.resolve();
    await sleep(scope, 60_000);
    return "late";
  };
}

describe.each(frameworks)("the span of OpenTelemetry for a request of %s has the status", (_, make) => {
  it("499 when the client disconnects while the handler runs", async () => {
    const begun = deferred();
    const socket = await send(await make(waiting(begun), {}), get);
    await begun.promise;
    socket.destroy();
    expect(await statusOfSpan()).toBe(499);
  });

  it.each([
    ["during its upload", 10],
    ["when its body was received", 4],
  ])("499 when the client leaves %s", async (_when, length) => {
    const begun = deferred();
    const server = await make(waiting(begun), {});
    const head = `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: ${length}\r\n\r\n`;
    const arrived = once(server, "request"); // Fastify calls the handler when the body has arrived
    const socket = await send(server, `${head}body`);
    await (length === 4 ? begun.promise : arrived);
    socket.destroy();
    expect(await statusOfSpan()).toBe(499);
  });

  it("200 when the response was sent, also in parts, before the client disconnected", async () => {
    const socket = await send(
      await make(async (_scope, write) => {
        write("part");
        return "end";
      }, {}),
      get,
    );
    await once(socket, "data");
    socket.destroy();
    expect(await statusOfSpan()).toBe(200);
  });

  it("503 when the request timed out", async () => {
    await send(await make(waiting(deferred()), { timeout: 20 }), get);
    expect(await statusOfSpan()).toBe(503);
  });

  it("500 when the handler failed", async () => {
    const fails: Work = () => Promise.reject(new Error("boom"));
    await send(await make(fails, {}), get);
    expect(await statusOfSpan()).toBe(500);
  });
});
