import type { Scope } from "../kernel/scope.js";

/** A handler. It receives the request, its scope, and the other arguments of the host. */
export type AnyHandler = (this: unknown, request: never, scope: Scope, ...rest: never[]) => unknown;

/** An application that takes requests: it is called without the scope. */
export interface AnyApp {
  fetch(request: never, ...rest: never[]): unknown;
}

/** Several arguments, or none. */
class ArgumentList {
  readonly values: readonly unknown[];

  constructor(values: readonly unknown[]) {
    this.values = values;
  }
}

declare const packed: unique symbol;

/**
 * What a host passes after the request. Most pass one value: a server, an environment, a context. Then it is that value.
 * An array costs more than a scope, and Bun takes longer to spread one than to make a scope.
 */
export interface HostArguments {
  readonly [packed]: never;
}

/** If there is one value, reads only that one: then the engine need not create the array of a rest parameter. */
export function packArguments(rest: readonly unknown[]): HostArguments {
  return (rest.length === 1 ? rest[0] : new ArgumentList(rest)) as HostArguments;
}

export function argumentList(rest: HostArguments): readonly unknown[] {
  return rest instanceof ArgumentList ? rest.values : [rest];
}

export function callApp(app: AnyApp, request: Request, rest: HostArguments): unknown {
  if (!(rest instanceof ArgumentList)) return app.fetch(request as never, rest as never);
  return app.fetch(request as never, ...(rest.values as never[]));
}

export function callHandler(
  handler: AnyHandler,
  self: unknown,
  request: Request,
  scope: Scope,
  rest: HostArguments,
): unknown {
  if (!(rest instanceof ArgumentList)) return handler.call(self, request as never, scope, rest as never);
  return handler.call(self, request as never, scope, ...(rest.values as never[]));
}
