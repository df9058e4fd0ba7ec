import http, {
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { ApolloServer, type ApolloServerPlugin } from "@apollo/server";
import { ApolloServerPluginDrainHttpServer } from "@apollo/server/plugin/drainHttpServer";
import { expressMiddleware } from "@as-integrations/express5";
import { createAdaptorServer } from "@hono/node-server";
import { createHTTPHandler } from "@trpc/server/adapters/standalone";
import express from "express";
import { createGraphQLError, createSchema, createYoga, type Plugin } from "graphql-yoga";
import { HTTPError, type H3 } from "h3";
import { toNodeHandler } from "h3/node";
import type { Context, Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import type Koa from "koa";
import { TRPCError, type initTRPC } from "@trpc/server";
import type { Scope } from "../../src/index.js";
import { importPage } from "../support/doc-module.js";

// The frameworks of docs/frameworks, each with the glue that its page shows.

/** The work of the handlers of a test; `what` is a part of the path, or an argument. */
export type Work = (scope: Scope, what: string) => Promise<string>;

export interface Framework {
  readonly name: string;
  readonly page: string;
  /** A server whose handlers do `work`. */
  readonly make: (glue: never, work: Work) => Promise<Server> | Server;
  /** How to ask for `what`. */
  readonly input: (what: string) => {
    method?: string;
    path: string;
    headers?: Record<string, string>;
    body?: string;
  };
  /** The body of the answer to `what`, if all is well. */
  readonly answerTo: (what: string) => string;
  /** Whether the framework, or its page, prints a failure. */
  readonly prints: boolean;
  /** The status of an answer to a handler that has failed. Default: 500, or that of the error. */
  readonly failed?: number;
  /** The error that a handler throws to respond that there is no such price. `cause` is the reason. */
  readonly own: (cause: Error) => Error;
  /** A part of the response to that, if it is more than the message. */
  readonly ownCode?: RegExp;
  /** Whether the page prints such errors as well. */
  readonly logs?: boolean;
}

const rest = {
  input: (what: string) => ({ path: `/work/${what}` }),
  answerTo: (what: string) => `did ${what}`,
  prints: true,
};

const graphql = {
  input: (what: string) => ({
    method: "POST",
    path: "/graphql",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: `{ work(what: ${JSON.stringify(what)}) }` }),
  }),
  answerTo: (what: string) => `{"data":{"work":"did ${what}"}}`,
  prints: true,
  failed: 200,
  ownCode: /^(?=.*"no such price").*"code":"NOT_FOUND"/s,
};

const typeDefs = "type Query { work(what: String!): String! }";
const whatOf = (url = ""): string => url.split("/").at(-1) ?? "";

export const frameworks: readonly Framework[] = [
  {
    name: "Koa",
    page: "frameworks/koa.md",
    ...rest,
    own: (cause) => Object.assign(new Error("no such price", { cause }), { status: 404, expose: true }),
    make: ({ app }: { app: Koa<{ scope: Scope }> }, work) => {
      app.use(async (ctx) => {
        ctx.body = await work(ctx.state.scope, whatOf(ctx.path));
      });
      return http.createServer(app.callback() as RequestListener);
    },
  },
  {
    name: "Hono",
    page: "frameworks/hono-node.md",
    ...rest,
    own: (cause) => new HTTPException(404, { message: "no such price", cause }),
    make: ({ app, scopeOf }: { app: Hono; scopeOf: (c: Context) => Scope }, work) => {
      app.get("/work/:what", async (c) => c.text(await work(scopeOf(c), c.req.param("what"))));
      return createAdaptorServer({ fetch: app.fetch }) as Server;
    },
  },
  {
    name: "h3",
    page: "frameworks/h3.md",
    ...rest,
    own: (cause) => new HTTPError({ status: 404, message: "no such price", cause }),
    make: ({ app }: { app: H3 }, work) => {
      app.get("/work/:what", (event) => work(event.context["scope"] as Scope, whatOf(event.url.pathname)));
      return http.createServer(toNodeHandler(app) as RequestListener);
    },
  },
  {
    name: "tRPC",
    page: "frameworks/trpc.md",
    own: (cause) => new TRPCError({ code: "NOT_FOUND", message: "no such price", cause }),
    ownCode: /^(?=.*"no such price").*"code":"NOT_FOUND"/s,
    input: (what) => ({ path: `/work?input=${encodeURIComponent(JSON.stringify(what))}` }),
    answerTo: (what) => `{"result":{"data":"did ${what}"}}`,
    prints: false,
    make: (glue: TrpcGlue, work) => {
      const { createContext, procedure, t } = glue;
      const router = t.router({
        work: procedure.input(String).query(({ ctx, input }) => work((ctx as { scope: Scope }).scope, input)),
      });
      return http.createServer(createHTTPHandler({ router, createContext: createContext as never }));
    },
  },
  {
    name: "Apollo Server",
    page: "frameworks/apollo.md",
    ...graphql,
    own: (cause) =>
      Object.assign(new Error("no such price", { cause }), { extensions: { code: "NOT_FOUND" } }),
    logs: true,
    make: async (
      { bough, context }: { bough: ApolloServerPlugin; context: (http: Http) => Promise<object> },
      work,
    ) => {
      const app = express();
      const server = http.createServer(app);
      const resolvers = {
        Query: {
          work: (_: unknown, { what }: { what: string }, { scope }: { scope: Scope }) => work(scope, what),
        },
      };
      const apollo = new ApolloServer({
        typeDefs,
        resolvers,
        plugins: [bough, ApolloServerPluginDrainHttpServer({ httpServer: server })],
        stopOnTerminationSignals: false,
      });
      await apollo.start();
      app.use("/graphql", express.json(), expressMiddleware(apollo, { context: context as never }));
      return server;
    },
  },
  {
    name: "GraphQL Yoga",
    page: "frameworks/yoga.md",
    ...graphql,
    own: (cause) =>
      Object.assign(createGraphQLError("no such price", { extensions: { code: "NOT_FOUND" } }), { cause }),
    make: ({ bough, context }: { bough: Plugin; context: (http: Http) => object }, work) => {
      const resolvers = {
        Query: {
          work: (_: unknown, { what }: { what: string }, { scope }: { scope: Scope }) => work(scope, what),
        },
      };
      const schema = createSchema({ typeDefs, resolvers });
      return http.createServer(createYoga({ schema, context, plugins: [bough] } as never) as RequestListener);
    },
  },
];

interface Http {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

interface TrpcGlue {
  readonly createContext: unknown;
  readonly procedure: ReturnType<ReturnType<typeof initTRPC.context>["create"]>["procedure"];
  readonly t: ReturnType<ReturnType<typeof initTRPC.context>["create"]>;
}

/** A server of `framework`, with the code of its page. */
export async function makeServer({ page, make }: Framework, work: Work): Promise<Server> {
  return make((await importPage(page)) as never, work);
}
