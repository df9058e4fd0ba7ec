/**
 * A plugin for Fastify 5 that gives each request a scope. The guide is `docs/fastify.md`.
 *
 * @module
 */
// oxlint-disable-next-line import/no-default-export -- what Fastify's autoload looks for
export { fastifyBough, fastifyBough as default } from "./fastify-bough.js";
export type { FastifyBoughOptions, RouteBoughOptions } from "./fastify-bough.js";
