import http, { type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { json, text } from "node:stream/consumers";
import type Koa from "koa";
import { it } from "vitest";
import { serverScope } from "../../src/http/index.js";
import type { Scope } from "../../src/index.js";
import { importPage } from "../support/doc-module.js";
import {
  expectExactCancellations,
  expectPlantsFound,
  respondMixed,
  type MakeServer,
} from "../support/mixed-node-host.js";

const overKoa: MakeServer = async (log) => {
  const { app } = (await importPage("frameworks/koa.md")) as { app: Koa<{ scope: Scope }> };
  app.use(async (ctx) => {
    const [, id = "", what = ""] = ctx.path.split("/");
    const body = async (): Promise<string> =>
      what === "body" ? JSON.stringify(await json(ctx.req)) : text(ctx.req);
    ctx.body = await respondMixed(log, {
      id,
      what,
      scope: ctx.state.scope,
      root: serverScope(server),
      body,
    });
  });
  const callback = app.callback() as RequestListener;
  const arrive = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    await log.arrive(request.url ?? "");
    callback(request, response);
  };
  const server = http.createServer((request, response) => void arrive(request, response));
  serverScope(server, { onCancelled: log.onCancelled });
  return server;
};

it(
  "rule 28: Koa under thousands of mixed requests cancels those of disconnected clients, and no others",
  { timeout: 240_000 },
  () => expectExactCancellations("Koa", overKoa),
);

it("the test of Koa under mixed requests finds planted faults", () => expectPlantsFound(overKoa));
