// A server of the benchmark on a fetch-style host, in a process of its own: `web-server.ts <host> <variant>`. It is run by
// Node, Bun or Deno, as the host demands.

import process from "node:process";
import { Hono, type Context } from "hono";
import { fetchBough, requestScope } from "../../src/web/index.js";
import { answerBenchmark, jobOf } from "./work.js";

declare const Bun: { serve(options: object): { readonly port: number } };
declare const Deno: { serve(options: object, handler: unknown): unknown };

const [host, variant] = process.argv.slice(2);
const job = jobOf(variant);
const { mounted, idle } = job;

/** A controller for the request, which aborts when the client leaves before the answer. */
function controllerOf({ signal }: Request): AbortController {
  const controller = new AbortController();
  signal.addEventListener("abort", () => controller.abort());
  return controller;
}

const app = new Hono();
app.get("/", async (c: Context) => {
  const { raw } = c.req;
  const value = await job.work(
    () => controllerOf(raw),
    () => requestScope(raw),
  );
  return c.json(value as object);
});

type Handler = (request: Request, ...rest: unknown[]) => Response | Promise<Response>;
const plain = app.fetch as Handler;

function handlerOf(): Handler {
  if (mounted) return fetchBough(app) as Handler;
  return idle ? async (request, ...rest) => plain(request, ...rest) : plain;
}

const fetch = handlerOf();
const hostname = "127.0.0.1";
if (host === "bun") {
  answerBenchmark(Bun.serve({ fetch, port: 0, hostname, idleTimeout: 0 }).port);
} else if (host === "deno") {
  const onListen = ({ port }: { readonly port: number }): void => answerBenchmark(port);
  Deno.serve({ port: 0, hostname, onListen }, fetch);
} else {
  const { serve } = await import("@hono/node-server");
  const server = serve({ fetch, port: 0, hostname }, ({ port }) => answerBenchmark(port));
  Object.assign(server, { keepAliveTimeout: 0 }); // the clients wait while others have their turn
}
