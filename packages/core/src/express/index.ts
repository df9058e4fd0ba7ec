/**
 * A middleware for Express 4 and 5 that gives each request a scope. The guide is `docs/express.md`.
 *
 * @module
 */
export { expressBough, type ExpressBoughOptions } from "./express-bough.js";
