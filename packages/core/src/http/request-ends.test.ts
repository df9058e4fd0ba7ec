import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { Server } from "node:net";
import { Readable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import express, { type Express } from "express";
import express4 from "express4";
import Fastify, { type FastifyInstance } from "fastify";
import { describe, expect, it } from "vitest";
import { expressBough } from "../express/index.js";
import { fastifyBough } from "../fastify/index.js";
import { sleep, spawn, type CancelledError, type Scope } from "../index.js";
import { deferred, flush, rejection } from "../../test/support/deferred.js";
import {
  RawConnection,
  transports,
  type Exchange,
  type RequestInput,
  type Transport,
} from "../../test/support/http-clients.js";
import { soon } from "../../test/support/turns.js";
import { makeServer, serve, type Bench, type Handler } from "../../test/support/http-server.js";
import { requestScope, serverScope } from "./index.js";

// Every way in which a request can end, over every transport: the table of docs/http.md.

interface Seen {
  readonly scope: Scope;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The reason, when the scope is cancelled. */
  readonly cancelled: Promise<CancelledError>;
  /** Settles when the scope's defers run: it has ended. */
  readonly ended: Promise<void>;
}

const hosts: Record<string, (transport: Transport, handler: Handler) => Server | Promise<Server>> = {
  "node:http": makeServer,
  "Express 5": (_, handler) => overExpress(express(), handler),
  "Express 4": (_, handler) => overExpress(express4(), handler),
  Fastify: overFastify,
};

function overExpress(app: Express, handler: Handler): Server {
  app.use(expressBough());
  app.use((request, response) => {
    expect(request.scope).toBe(requestScope(request, response));
    return handler(request, response);
  });
  return http.createServer(app);
}

async function overFastify(transport: Transport, handler: Handler): Promise<Server> {
  const app = transport === "http/2" ? (Fastify({ http2: true }) as unknown as FastifyInstance) : Fastify();
  await app.register(fastifyBough);
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
  app.all("*", (request, reply) => {
    expect(request.scope).toBe(requestScope(request.raw, reply.raw));
    reply.hijack();
    void handler(request.raw, reply.raw);
  });
  await app.ready();
  return app.server;
}

const cases = Object.keys(hosts).flatMap((host) =>
  transports
    .map((transport) => ({ host, transport }))
    .filter(
      // Express does not speak HTTP/2.
      (each) => !(host.startsWith("Express") && each.transport === "http/2"),
    ),
);

for (const { host, transport } of cases) {
  describe(`${host}: a request over ${transport}`, () => {
    /** Sends one request, whose handler asks for its scope and does as it is told. */
    async function exchange(
      handler: (seen: Seen) => unknown,
      input?: RequestInput,
      release = true,
    ): Promise<{ client: Exchange; seen: Seen; bench: Bench }> {
      const arrived = deferred<Seen>();
      const bench = await serve(
        transport,
        (request, response) => {
          const scope = requestScope(request, response);
          const cancelled = deferred<CancelledError>();
          const ended = deferred();
          scope.onCancel(cancelled.resolve);
          scope.defer(ended.resolve);
          const seen = { scope, request, response, cancelled: cancelled.promise, ended: ended.promise };
          arrived.resolve(seen);
          return handler(seen);
        },
        hosts[host],
      );
      const client = await bench.request(input);
      if (release) bench.release();
      return { client, seen: await arrived.promise, bench };
    }

    it("rule 28: is not cancelled when it is finished", async () => {
      const { client, seen } = await exchange(({ response }) => response.end("done"));
      expect(await client.answer).toMatchObject({ status: 200, body: "done", complete: true });
      await seen.ended;
      expect(seen.scope).toMatchObject({ cancelled: false, state: "closed" });
    });

    it("rule 28: is not cancelled when its body has been read", async () => {
      const { client, seen } = await exchange(
        async ({ request, response }) => {
          let text = "";
          for await (const chunk of request) text += String(chunk);
          await flush();
          await flush();
          response.end(text);
        },
        { method: "POST", body: "hello" },
      );
      expect(await client.answer).toMatchObject({ status: 200, body: "hello" });
      await seen.ended;
      expect(seen.scope.cancelled).toBe(false);
    });

    it("rule 28: is not cancelled when a stream has finished it", async () => {
      const { client, seen } = await exchange(({ response }) =>
        pipeline(Readable.from(["a", "b", "c"]), response),
      );
      expect(await client.answer).toMatchObject({ status: 200, body: "abc", complete: true });
      await seen.ended;
      expect(seen.scope.cancelled).toBe(false);
    });

    it.each(["HEAD", "204", "304"])(
      "rule 28: is not cancelled when it is finished without a body: %s",
      async (kind) => {
        const { client, seen } = await exchange(
          ({ response }) => {
            response.writeHead(kind === "HEAD" ? 200 : Number(kind));
            response.end();
          },
          { method: kind === "HEAD" ? "HEAD" : "GET" },
        );
        expect((await client.answer)?.status).toBe(kind === "HEAD" ? 200 : Number(kind));
        await seen.ended;
        expect(seen.scope.cancelled).toBe(false);
      },
    );

    it("rule 28: is not cancelled by an informational answer", async () => {
      const { client, seen } = await exchange(async ({ response }) => {
        response.writeEarlyHints({ link: "</style.css>; rel=preload" });
        await flush();
        response.end("done");
      });
      expect(await client.answer).toMatchObject({ status: 200, body: "done" });
      await seen.ended;
      expect(seen.scope.cancelled).toBe(false);
    });

    it("rule 28: is not cancelled when its client gets 100 Continue for its body", async () => {
      const { client, seen } = await exchange(
        async ({ request, response }) => {
          let text = "";
          for await (const chunk of request) text += String(chunk);
          response.end(text);
        },
        { method: "POST", headers: { expect: "100-continue" }, length: 5 },
      );
      client.write("hello");
      client.end();
      expect(await client.answer).toMatchObject({ status: 200, body: "hello" });
      await seen.ended;
      expect(seen.scope.cancelled).toBe(false);
    });

    it("rule 28: is cancelled when the client disconnects before the body", async () => {
      const { client, seen } = await exchange(() => undefined, { method: "POST", length: 10 }, false);
      client.abort();
      expect((await seen.cancelled).kind).toBe("disconnected");
      await seen.ended;
    });

    it("rule 28: is cancelled when the client disconnects during the upload", async () => {
      const part = deferred();
      const { client, seen } = await exchange(
        ({ request }) => {
          request.on("error", () => undefined);
          request.once("data", () => part.resolve());
        },
        { method: "POST", body: "hel", length: 10 },
        false,
      );
      await part.promise;
      client.abort();
      expect((await seen.cancelled).kind).toBe("disconnected");
      await seen.ended;
    });

    it("rule 28: is cancelled when the client disconnects while the handler works", async () => {
      const { client, seen } = await exchange(() => undefined, {}, false);
      const task = spawn(seen.scope, (scope) => sleep(scope, 60_000));
      client.abort();
      const reason = await seen.cancelled;
      expect(reason).toMatchObject({ kind: "disconnected", name: "AbortError" });
      await expect(task).rejects.toBe(reason);
      await seen.ended;
      expect(seen.response.statusCode).toBe(499);
    });

    it("rule 28: is cancelled when the client disconnects after its body was read", async () => {
      const read = deferred();
      const { client, seen } = await exchange(
        async ({ request }) => {
          for await (const _ of request) void _;
          read.resolve();
        },
        { method: "POST", body: "hello" },
        false,
      );
      await read.promise;
      await flush();
      expect(seen.scope.cancelled).toBe(false);
      client.abort();
      expect((await seen.cancelled).kind).toBe("disconnected");
    });

    it("rule 28: is cancelled when the client disconnects while the response streams", async () => {
      const { client, seen } = await exchange(({ response }) => void response.write("part"));
      await client.started;
      client.abort();
      expect((await seen.cancelled).kind).toBe("disconnected");
      await seen.ended;
    });

    it("rule 28: starts cancelled when its scope is first read after the disconnect", async () => {
      const arrived = deferred<[IncomingMessage, ServerResponse]>();
      const bench = await serve(transport, (request, response) => arrived.resolve([request, response]));
      const client = await bench.request();
      const [request, response] = await arrived.promise;
      const gone = deferred();
      request.socket.once("close", () => gone.resolve());
      if (transport === "http/2") response.once("close", () => gone.resolve());
      client.abort();
      await gone.promise;
      await flush();
      const scope = requestScope(request, response);
      expect(scope).toMatchObject({ cancelled: true, state: "closed", reason: { kind: "disconnected" } });
    });

    it("rule 29: cancels and awaits what still runs when the response is done", async () => {
      const cleaned = deferred();
      const log: string[] = [];
      const { client, seen } = await exchange(({ scope, response }) => {
        spawn(scope, async (inner) => {
          inner.defer(async () => {
            await cleaned.promise;
            log.push("cleaned");
          });
          await sleep(inner, 60_000);
        });
        response.end("done");
      });
      expect((await client.answer)?.body).toBe("done");
      expect((await seen.cancelled).kind).toBe("closed");
      await flush();
      expect(seen.scope.state).toBe("cancelling");
      cleaned.resolve();
      await seen.ended;
      expect(log).toEqual(["cleaned"]);
      await flush();
      expect(() => spawn(seen.scope, () => 1)).toThrow(
        expect.objectContaining({ code: "BOUGH_SCOPE_CLOSED" }),
      );
    });

    it("rule 30: answers 503 once when its time is up, and not when the handler answers itself", async () => {
      const { client, seen } = await exchange(({ request, response }) => {
        response.setHeader("content-encoding", "gzip");
        response.setHeader("x-kept", "yes");
        requestScope(request, response, { timeout: 1 });
      });
      const answer = await client.answer;
      expect(answer).toMatchObject({ status: 503, complete: true, headers: { "x-kept": "yes" } });
      expect(answer?.headers["content-encoding"]).toBeUndefined();
      expect(await seen.cancelled).toMatchObject({ kind: "deadline", name: "TimeoutError" });
      await seen.ended;

      const own = await exchange(({ request, response, scope }) => {
        requestScope(request, response, { timeout: 1 });
        scope.onCancel(() => void Promise.resolve().then(() => response.writeHead(200).end("fallback")));
      });
      expect(await own.client.answer).toMatchObject({ status: 200, body: "fallback" });
    });

    it("rule 30: is answered when its time is up during its upload", async () => {
      const { client, seen } = await exchange(
        ({ request, response }) => {
          request.on("error", () => undefined);
          requestScope(request, response, { timeout: 1 });
        },
        { method: "POST", body: "hel", length: 10 },
      );
      expect(await client.answer).toMatchObject({ status: 503, complete: true });
      expect((await seen.cancelled).kind).toBe("deadline");
      await seen.ended;
      await flush();
      expect(seen.scope.state).toBe("closed");
    });

    it("rule 30: leaves a response that has begun to its handler when its time is up", async () => {
      const { client, seen } = await exchange(({ request, response }) => {
        response.write("part");
        requestScope(request, response, { timeout: 1 });
      });
      await seen.cancelled;
      await flush();
      await flush();
      seen.response.end(", whole");
      expect(await client.answer).toMatchObject({ status: 200, body: "part, whole", complete: true });
    });

    it("rule 32: finishes within the grace period of a shutdown, on a connection that is then closed", async () => {
      const { client, seen, bench } = await exchange(() => undefined);
      const report = serverScope(bench.server).shutdown({ grace: 5_000 });
      await flush();
      seen.response.end("done");
      expect(await client.answer).toMatchObject({ status: 200, body: "done", complete: true });
      expect(await report).toMatchObject({ cancelled: 0, stuck: [] });
      expect(seen.scope.cancelled).toBe(false);
    });

    it("rule 32: is cancelled when the grace period of a shutdown is over, and may still answer", async () => {
      const { client, seen, bench } = await exchange(({ response, scope }) => {
        scope.onCancel(() => void Promise.resolve().then(() => response.writeHead(503).end("sorry")));
      });
      const report = serverScope(bench.server).shutdown({ grace: 1 });
      expect(await client.answer).toMatchObject({ status: 503, body: "sorry", complete: true });
      expect((await seen.cancelled).kind).toBe("shutdown");
      expect(await report).toMatchObject({ cancelled: 1, stuck: [] });
    });

    /** Where a shutdown meets a request that has a body, and what has come of that. */
    const uploads = { "before its body": undefined, "during its upload": "hel" } as const;

    it.each(Object.entries(uploads))("rule 32: is cancelled by a shutdown %s", async (_, body) => {
      const part = deferred();
      const { client, seen, bench } = await exchange(
        ({ request, response, scope }) => {
          request.on("error", () => undefined);
          request.once("data", () => part.resolve());
          scope.onCancel(() => void Promise.resolve().then(() => response.writeHead(503).end("sorry")));
        },
        { method: "POST", ...(body === undefined ? {} : { body }), length: 10 },
      );
      if (body !== undefined) await part.promise;
      const report = serverScope(bench.server).shutdown({ grace: 1 });
      expect((await seen.cancelled).kind).toBe("shutdown");
      expect(await client.answer).toMatchObject({ status: 503, body: "sorry" });
      expect(await report).toMatchObject({ cancelled: 1, stuck: [] });
      await seen.ended;
    });

    it("rule 32: is cancelled by a shutdown while its response streams, and may end that", async () => {
      const { client, seen, bench } = await exchange(({ response, scope }) => {
        response.write("part");
        scope.onCancel(() => void Promise.resolve().then(() => response.end(", bye")));
      });
      await client.started;
      const report = serverScope(bench.server).shutdown({ grace: 1 });
      expect((await seen.cancelled).kind).toBe("shutdown");
      expect(await client.answer).toMatchObject({ status: 200, body: "part, bye", complete: true });
      expect(await report).toMatchObject({ cancelled: 1, stuck: [] });
    });

    it("rule 28: is disconnected, not shut down, when its client goes away during the shutdown", async () => {
      const { client, seen, bench } = await exchange(() => undefined);
      const report = serverScope(bench.server).shutdown({ grace: 60_000 });
      await flush();
      client.abort();
      expect((await seen.cancelled).kind).toBe("disconnected");
      expect(await report).toMatchObject({ cancelled: 0, stuck: [] });
    });

    it("rule 28: is finished when the server is shut down after its answer, though it is still being sent", async () => {
      const { client, seen, bench } = await exchange(({ response }) => response.end("x".repeat(1_000_000)));
      const report = serverScope(bench.server).shutdown({ grace: 5_000 });
      const answer = await client.answer;
      expect(answer).toMatchObject({ status: 200, complete: true });
      expect(answer?.body).toHaveLength(1_000_000);
      await seen.ended;
      expect(seen.scope.cancelled).toBe(false);
      expect((await report).stuck).toEqual([]);
    });

    // A second each; the framework makes no difference to them.
    it.runIf(host === "node:http")("rule 32: is answered and named when its handler is stuck", async () => {
      const { client, seen, bench } = await exchange(() => undefined, { path: "/stuck?secret" });
      const report = serverScope(bench.server).shutdown({ grace: 0 });
      expect((await seen.cancelled).kind).toBe("shutdown");
      expect(await client.answer).toMatchObject({ status: 503, complete: true });
      const { stuck } = await report;
      expect(stuck.map(({ path }) => path)).toEqual(["server/GET /stuck"]);
    });

    it.runIf(host === "node:http")(
      "rule 32: is cut off, not completed, when its handler is stuck in the middle of a response",
      async () => {
        const { client, seen, bench } = await exchange(({ response }) => void response.write("part"));
        await client.started;
        const report = serverScope(bench.server).shutdown({ grace: 0 });
        expect(await client.answer).toMatchObject({ status: 200, body: "part", complete: false });
        expect((await report).stuck).toHaveLength(1);
        expect(seen.scope.reason?.kind).toBe("shutdown");
      },
    );
  });
}

it("rule 28: a response that waited behind another one when its client left is closed for code that asks later", async () => {
  const closed = deferred<ServerResponse>();
  const { server, port } = await serve("http/1.1", (request, response) => {
    requestScope(request, response);
    if (request.url === "/second") response.once("close", () => closed.resolve(response));
  });
  const connection = new RawConnection(port);
  const arrived = deferred();
  server.on("request", ({ url }: IncomingMessage) => url === "/second" && arrived.resolve());
  for (const path of ["/first", "/second"]) void connection.request({ path });
  await arrived.promise;
  connection.socket.destroy();
  const response = await closed.promise;
  expect(response).toMatchObject({ destroyed: true, closed: true });
  expect(await rejection(soon(finished(response)))).toMatchObject({ code: "ERR_STREAM_PREMATURE_CLOSE" });
});
