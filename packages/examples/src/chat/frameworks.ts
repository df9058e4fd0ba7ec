import { createExpressGateway } from "./express.js";
import { createFastifyGateway } from "./fastify.js";
import type { Gateway, GatewayOptions } from "./gateway.js";
import { createHonoGateway } from "./hono.js";

/** The same gateway in each framework. */
export const frameworks: Readonly<Record<string, (options: GatewayOptions) => Promise<Gateway>>> = {
  Express: createExpressGateway,
  Fastify: createFastifyGateway,
  Hono: createHonoGateway,
};
