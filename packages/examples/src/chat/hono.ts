import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import { toReadableStream } from "bough/streams";
import { fetchBough } from "bough/web";
import { Hono } from "hono";
import { eventHeaders, HttpError, openAnswer } from "./answer.js";
import { page, type Gateway, type GatewayOptions } from "./gateway.js";

export async function createHonoGateway({ model, grace, stats }: GatewayOptions): Promise<Gateway> {
  const chat = fetchBough(
    async (request: Request, scope) => {
      const question: unknown = await request.json().catch(() => undefined);
      const frames = await openAnswer(scope, question, model, chat.scope);
      const body = toReadableStream(scope, frames).pipeThrough(new TextEncoderStream()); // no faster than the reader reads
      return new Response(body, { headers: eventHeaders });
    },
    { grace },
  );
  const app = new Hono();
  app.get("/", (c) => c.html(page));
  app.get("/stats", (c) => c.json(stats() as object));
  app.post("/chat", (c) => chat(c.req.raw));
  app.onError((error, c) => c.text(error.message, error instanceof HttpError ? (error.status as 400) : 500));
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  const shutdown = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    const report = await chat.shutdown();
    server.closeIdleConnections();
    await closed;
    return report;
  };
  return { name: "Hono", server, shutdown };
}
