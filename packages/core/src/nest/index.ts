/**
 * A module for NestJS that gives each request a scope. The guide is `docs/nest.md`.
 *
 * @module
 */
export { BoughModule, type BoughModuleAsyncOptions, type BoughModuleOptions } from "./bough-module.js";
export { BoughService } from "./bough-service.js";
export { REQUEST_SCOPE, RequestScope, RequestTimeout } from "./decorators.js";
