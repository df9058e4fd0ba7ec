import { detach } from "bough";
import { fastifyBough } from "bough/fastify";
import Fastify, { type FastifyInstance } from "fastify";

export async function ordersApp(
  sendReceipt: (order: string, signal: AbortSignal) => Promise<void>,
): Promise<FastifyInstance> {
  const app = Fastify();
  await app.register(fastifyBough, { onError: (error, task) => console.error(task.path, error) });

  app.post<{ Params: { order: string } }>("/orders/:order", async (request, reply) => {
    const { order } = request.params;
    detach(request.scope, app.scope, function receipt({ signal }) {
      return sendReceipt(order, signal);
    });
    return reply.code(202).send({ order });
  });
  return app;
}
