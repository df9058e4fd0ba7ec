import http, { type RequestListener } from "node:http";
import { json } from "node:stream/consumers";
import type Koa from "koa";
import { it } from "vitest";
import type { Scope } from "../../src/index.js";
import { importPage } from "../support/doc-module.js";
import { expectExactCancellations, work, type Fates } from "../support/mixed-requests.js";

it(
  "rule 28: Koa under thousands of mixed requests cancels the requests of disconnected clients, and no others",
  { timeout: 120_000 },
  async () => {
    const fates: Fates = new Map();
    const { app } = (await importPage("frameworks/koa.md")) as { app: Koa<{ scope: Scope }> };
    app.use(async (ctx) => {
      const [, id = "", what] = ctx.path.split("/");
      const body = ctx.method === "POST" ? await json(ctx.req) : undefined;
      await work(ctx.state.scope, id, fates, what === "hang");
      ctx.body = { id, body };
    });
    await expectExactCancellations("Koa", http.createServer(app.callback() as RequestListener), fates);
  },
);
