import type { FastifyPluginAsync } from "fastify";
import { plugin, type FastifyBoughOptions } from "./hooks.js";

/**
 * Gives each request a scope: `request.scope`, a child of `fastify.scope`. For Fastify 5; register it first.
 *
 * **Cancellation:** as that of `requestScope`: by the client's going away (also during `inject()`), by the `timeout`
 * of the plugin or the route (`config: { bough: { timeout } }`), by the header when `deadlineHeader` is on, and by
 * `app.close()`, which lets running requests finish within `grace`. Fastify's own `request.signal` is another thing:
 * it aborts as soon as a body has been read.
 *
 * **Failure:** a handler that fails because its client is gone answers nothing and is logged as 499, at level info;
 * that does not reach the error handlers. One that runs out of time answers 503, or 504 where the time was another server's,
 * which is logged once at level warn and told to `onCancelled`. The answer is that of `respond`, or of the app's own error
 * handler, which gets the cancellation with a `statusCode`, or in the form of Fastify's errors. Everything else reaches the
 * error handlers unchanged. A task's failure that nobody receives is logged as an error, unless there is an `onError` in the
 * options.
 *
 * @example
 * ```ts
 * import Fastify from "fastify";
 * import { spawn } from "bough";
 * import { fastifyBough } from "bough/fastify";
 *
 * const app = Fastify();
 * await app.register(fastifyBough, { timeout: 10_000 });
 * app.get("/report", { config: { bough: { timeout: 2_000 } } }, async (request) => {
 *   const parts = ["a", "b"].map((part) => spawn(request.scope, async () => part.toUpperCase()));
 *   return Promise.all(parts);
 * });
 * const response = await app.inject("/report");
 * console.log(response.json()); // [ "A", "B" ]
 * await app.close();
 * ```
 */
export const fastifyBough: FastifyPluginAsync<FastifyBoughOptions> = Object.assign(plugin, {
  // What the package fastify-plugin would set: what is decorated here is the registering context's.
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "bough",
  [Symbol.for("plugin-meta")]: { name: "bough", fastify: "5.x" },
});
