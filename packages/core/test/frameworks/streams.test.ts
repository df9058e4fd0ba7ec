import { once } from "node:events";
import http, {
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { createAdaptorServer } from "@hono/node-server";
import { createSchema, createYoga, type Plugin } from "graphql-yoga";
import type { H3 } from "h3";
import { toNodeHandler } from "h3/node";
import { Hono, type Context } from "hono";
import { streamSSE } from "hono/streaming";
import type Koa from "koa";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { isCancelled, sleep, withScope, type Scope } from "../../src/index.js";
import { serverScope } from "../../src/http/index.js";
import { fetchBough, requestScope, type FetchBough } from "../../src/web/index.js";
import { deferred } from "../support/deferred.js";
import { importPage } from "../support/doc-module.js";
import { RawConnection } from "../support/http-clients.js";

// Streams of the frameworks, with the code and the notes of docs/frameworks and docs/web.md: a client that disconnects in the
// middle of one ends its source, and nothing is printed as an error.

interface Http {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

/** Yields one part, and then waits in the scope. */
type Source = (scope: Scope) => AsyncGenerator<string>;

interface StreamServer {
  readonly server: Server;
  /** Default: that of the server's scope. */
  readonly shutdown?: () => Promise<unknown>;
  /** Whether the host prints why a response was broken off. */
  readonly printsBrokenOff?: boolean;
}

/** Everything that was printed in the current test. */
let printed: unknown[] = [];

const printFailure = async (error: unknown): Promise<void> => {
  if (!isCancelled(error)) printed.push([error]);
};

function fetchServer(fetch: FetchBough<Request, never[], unknown>): StreamServer {
  const server = createAdaptorServer({ fetch: fetch as never }) as Server;
  return { server, shutdown: () => fetch.shutdown({ grace: 0 }) };
}

const makers: Readonly<Record<string, (source: Source) => Promise<StreamServer> | StreamServer>> = {
  async Koa(source) {
    const { app } = (await importPage("frameworks/koa.md")) as { app: Koa<{ scope: Scope }> };
    app.use((ctx) => {
      ctx.body = Readable.from(source(ctx.state.scope));
    });
    return { server: http.createServer(app.callback() as RequestListener) };
  },
  async h3(source) {
    const { app } = (await importPage("frameworks/h3.md")) as { app: H3 };
    app.get("/", ({ context }) => Readable.from(source(context["scope"] as Scope)));
    return { server: http.createServer(toNodeHandler(app) as RequestListener) };
  },
  async "Hono on node-server"(source) {
    const glue = await importPage("frameworks/hono-node.md");
    const { app, scopeOf } = glue as { app: Hono; scopeOf: (c: Context) => Scope };
    app.get("/", (c) =>
      streamSSE(
        c,
        async (stream) => {
          for await (const part of source(scopeOf(c))) await stream.write(part);
        },
        printFailure,
      ),
    );
    return { server: createAdaptorServer({ fetch: app.fetch }) as Server };
  },
  "Hono in fetchBough"(source) {
    const app = new Hono();
    app.get("/", (c) => {
      const scope = requestScope(c.req.raw);
      void scope.signal; // the first use of the scope comes after the handler has returned
      return streamSSE(
        c,
        async (stream) => {
          for await (const part of source(scope)) await stream.write(part);
        },
        printFailure,
      );
    });
    return fetchServer(fetchBough(app) as never);
  },
  "an async generator in fetchBough"(source) {
    const respond = (_request: Request, scope: Scope): Response => {
      void scope.signal; // the generator starts after the handler has returned
      return new Response(Readable.toWeb(Readable.from(source(scope))) as never);
    };
    return { ...fetchServer(fetchBough(respond) as never), printsBrokenOff: true };
  },
  async "GraphQL Yoga"(source) {
    const glue = await importPage("frameworks/yoga.md");
    const { bough, context } = glue as { bough: Plugin; context: (http: Http) => object };
    const { subscriptions } = (await importPage("frameworks/yoga.md", 1)) as { subscriptions: Plugin };
    const subscribe = (_: unknown, _args: unknown, given: unknown): AsyncGenerator<string> =>
      source((given as { scope: Scope }).scope);
    const resolvers = { Subscription: { parts: { subscribe, resolve: (part: string) => part } } };
    const typeDefs = "type Query { a: String } type Subscription { parts: String! }";
    const schema = createSchema<Http>({ typeDefs, resolvers });
    const yoga = createYoga({ schema, context, plugins: [bough, subscriptions] });
    return { server: http.createServer(yoga as RequestListener) };
  },
};

const subscription = {
  method: "POST",
  path: "/graphql",
  headers: { "content-type": "application/json", accept: "text/event-stream" },
  body: JSON.stringify({ query: "subscription { parts }" }),
};

describe.each(Object.entries(makers))("a stream of %s", (name, make) => {
  beforeEach(() => {
    printed = [];
    vi.spyOn(console, "error").mockImplementation((...line) => void printed.push(line));
  });
  afterEach(() => void vi.restoreAllMocks());

  async function open() {
    const streaming = deferred<Scope>();
    const ended = deferred();
    const {
      server,
      shutdown,
      printsBrokenOff = false,
    } = await make(async function* (scope) {
      try {
        yield "part";
        streaming.resolve(scope);
        await sleep(scope, 600_000);
      } finally {
        ended.resolve();
      }
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const connection = new RawConnection((server.address() as AddressInfo).port);
    onTestFinished(() => {
      connection.socket.destroy();
      server.closeAllConnections();
      server.close();
    });
    const exchange = connection.request(name === "GraphQL Yoga" ? subscription : { path: "/" });
    const scope = await streaming.promise;
    return {
      exchange,
      scope,
      ended: ended.promise,
      printsBrokenOff,
      shutdown: shutdown ?? (() => serverScope(server).shutdown({ grace: 0 })),
    };
  }

  it("rule 28: ends when the client disconnects, and nothing is printed", async () => {
    const { exchange, scope, ended } = await open();
    exchange.abort();
    await ended;
    await expect.poll(() => scope.state).toBe("closed");
    expect(scope.reason?.kind).toBe("disconnected");
    await new Promise(setImmediate);
    expect(printed).toEqual([]);
  });

  it("rule 32: ends at a shutdown, and only a host prints that", async () => {
    const { scope, ended, shutdown, printsBrokenOff } = await open();
    const report = shutdown();
    await ended;
    await report;
    expect(scope.reason?.kind).toBe("shutdown");
    await new Promise(setImmediate);
    expect(printed).toEqual(printsBrokenOff ? [[scope.reason]] : []);
  });
});

it("Koa aborts a response that its handler has started when a call of the handler runs out of time", async () => {
  const { app } = (await importPage("frameworks/koa.md")) as { app: Koa<{ scope: Scope }> };
  app.use(async (ctx) => {
    ctx.respond = false;
    ctx.res.write("part");
    await withScope(ctx.state.scope, { timeout: 5 }, (own) => sleep(own, 600_000));
  });
  const print = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const server = http.createServer(app.callback() as RequestListener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const connection = new RawConnection((server.address() as AddressInfo).port);
  onTestFinished(() => {
    print.mockRestore();
    connection.socket.destroy();
    server.close();
  });
  expect(await connection.request({ path: "/" }).answer).toMatchObject({ body: "part", complete: false });
  expect(print).not.toHaveBeenCalled();
});
