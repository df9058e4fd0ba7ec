import { checkServerOptions, type ServerScopeOptions } from "../http/server-scope.js";
import type { OutcomeHooks } from "../http/responder.js";

// oxlint-disable-next-line typescript/no-explicit-any -- the request of Express or of Fastify: the app's adapter decides
type Hooks = OutcomeHooks<any, any>;

/**
 * The options of `BoughModule.forRoot`: those of `serverScope`. `timeout` applies to each request. `onCancelled` and `respond`
 * get the request and the response of the app's adapter.
 */
export interface BoughModuleOptions extends Omit<ServerScopeOptions, keyof Hooks>, Hooks {}

/** The token of the options. */
export const optionsToken: unique symbol = Symbol("BOUGH_OPTIONS");

export function checkModuleOptions(operation: string, options: BoughModuleOptions): void {
  checkServerOptions(operation, options);
}

/** The options of the server's scope: without those of requests, which the adapter's integration takes. */
export function serverOptionsOf(options: BoughModuleOptions): ServerScopeOptions {
  const { timeout: _timeout, onCancelled: _onCancelled, respond: _respond, ...others } = options;
  return others;
}
