import { createServer } from "node:http";
import { expressBough } from "bough/express";
import { serverScope } from "bough/http";
import { pipe } from "bough/streams";
import express from "express";
import { eventHeaders, openAnswer } from "./answer.js";
import { page, type Gateway, type GatewayOptions } from "./gateway.js";

export async function createExpressGateway({ model, grace, stats }: GatewayOptions): Promise<Gateway> {
  const app = express();
  app.use(expressBough({ grace }));
  app.use(express.json());
  app.get("/", (_request, response) => response.type("html").send(page));
  app.get("/stats", (_request, response) => response.json(stats()));
  app.post("/chat", async (request, response) => {
    const frames = await openAnswer(request.scope, request.body, model, serverScope(server));
    response.writeHead(200, eventHeaders);
    await pipe(request.scope, frames, response); // no faster than the reader reads
  });
  const server = createServer(app);
  return { name: "Express", server, shutdown: () => serverScope(server, { grace }).shutdown() };
}
