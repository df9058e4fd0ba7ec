import { sleep } from "bough";
import { fastifyBough } from "bough/fastify";
import { main } from "bough/process";
import Fastify from "fastify";

const { HOST = "0.0.0.0", PORT = "8080", DRAIN_DELAY = "5000" } = process.env;

await main(async function api(scope) {
  const app = Fastify();
  await app.register(fastifyBough, { timeout: 5_000, drainDelay: Number(DRAIN_DELAY), grace: 8_000 });

  app.get("/ready", (_request, reply) => reply.code(app.scope.draining ? 503 : 200).send());
  app.get("/work", async (request) => {
    await sleep(request.scope, 500);
    return "done";
  });

  scope.defer(() => console.log("connections closed")); // runs last: requests may use them until then
  scope.defer(() => app.close());
  await app.listen({ host: HOST, port: Number(PORT) });
  console.log(`listening on ${app.listeningOrigin}`);
  await sleep(scope, Infinity);
});
