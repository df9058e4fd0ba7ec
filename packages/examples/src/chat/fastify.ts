import { fastifyBough } from "bough/fastify";
import { toReadableStream } from "bough/streams";
import Fastify from "fastify";
import { eventHeaders, openAnswer } from "./answer.js";
import { page, type Gateway, type GatewayOptions } from "./gateway.js";

export async function createFastifyGateway({ model, grace, stats }: GatewayOptions): Promise<Gateway> {
  const app = Fastify();
  await app.register(fastifyBough, { grace });
  app.get("/", (_request, reply) => reply.type("text/html").send(page));
  app.get("/stats", async () => stats());
  app.post("/chat", async (request, reply) => {
    const frames = await openAnswer(request.scope, request.body, model, app.scope);
    return reply.headers(eventHeaders).send(toReadableStream(request.scope, frames)); // no faster than the reader reads
  });
  await app.ready();
  const shutdown = async () => {
    const report = await app.scope.shutdown();
    await app.close();
    return report;
  };
  return { name: "Fastify", server: app.server, shutdown };
}
