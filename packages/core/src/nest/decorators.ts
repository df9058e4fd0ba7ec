import { createParamDecorator, UseGuards, type CanActivate, type ExecutionContext } from "@nestjs/common";
import { BoughError } from "../errors/bough-error.js";
import { requireDuration } from "../errors/validate.js";
import { recordOf } from "../http/request-records.js";
import type { AnyRequest } from "../http/messages.js";
import type { Scope } from "../kernel/scope.js";

/** The request of Express or of Fastify, with the property that bough's integration defines. */
interface ScopedRequest {
  readonly scope: Scope;
  readonly raw?: AnyRequest;
}

/**
 * The token of the request's scope, to inject it.
 *
 * For each request, Nest makes a new instance of every provider that injects it, and of every controller and provider
 * that injects such a provider. All others remain singletons. So does a provider that gets the scope as an argument
 * of its methods.
 *
 * @example
 * ```ts no-run
 * import { Inject, Injectable } from "@nestjs/common";
 * import { all, type Scope } from "bough";
 * import { REQUEST_SCOPE } from "bough/nest";
 *
 * @Injectable()
 * export class Prices {
 *   constructor(@Inject(REQUEST_SCOPE) private readonly scope: Scope) {}
 *
 *   both(): Promise<[Response, Response]> {
 *     return all(this.scope, [
 *       ({ signal }) => fetch("http://a.internal", { signal }),
 *       ({ signal }) => fetch("http://b.internal", { signal }),
 *     ]);
 *   }
 * }
 * ```
 */
export const REQUEST_SCOPE: unique symbol = Symbol("REQUEST_SCOPE");

/**
 * Passes the scope of the request to a parameter of a handler.
 *
 * @example
 * ```ts no-run
 * import { Controller, Get } from "@nestjs/common";
 * import { type Scope } from "bough";
 * import { RequestScope } from "bough/nest";
 *
 * @Controller("report")
 * export class ReportController {
 *   @Get()
 *   async report(@RequestScope() { signal }: Scope): Promise<unknown> {
 *     const upstream = await fetch("http://upstream/report", { signal });
 *     return upstream.json();
 *   }
 * }
 * ```
 */
export const RequestScope: () => ParameterDecorator = createParamDecorator(
  (_: unknown, context: ExecutionContext): Scope => requestOf("RequestScope", context).scope,
);

/**
 * Limits the requests of a handler, or of all handlers of a controller, to `timeout` milliseconds from the moment when the
 * guards run. The earliest of this, the module's `timeout` and the caller's deadline counts.
 *
 * @param timeout - The limit in ms.
 * @returns The decorator.
 * @throws {TypeError | RangeError} If `timeout` is not a duration.
 * @example
 * ```ts no-run
 * import { Controller, Get } from "@nestjs/common";
 * import { sleep, type Scope } from "bough";
 * import { RequestScope, RequestTimeout } from "bough/nest";
 *
 * @Controller()
 * export class SearchController {
 *   @Get("search")
 *   @RequestTimeout(500)
 *   search(@RequestScope() scope: Scope): Promise<void> {
 *     return sleep(scope, 60_000); // the client gets 503 after 500 ms
 *   }
 * }
 * ```
 */
export function RequestTimeout(timeout: number): ClassDecorator & MethodDecorator {
  requireDuration("RequestTimeout", "timeout", timeout);
  return UseGuards(new TimeoutGuard(timeout));
}

/** A guard, because that is the only way to run code before one handler without slowing down the others. */
class TimeoutGuard implements CanActivate {
  readonly #timeout: number;

  constructor(timeout: number) {
    this.#timeout = timeout;
  }

  canActivate(context: ExecutionContext): boolean {
    const request = requestOf("RequestTimeout", context);
    recordOf(request.raw ?? (request as unknown as AnyRequest))?.limit(this.#timeout);
    return true;
  }
}

/** The request of a handler. Makes its scope. */
function requestOf(decorator: string, context: ExecutionContext): ScopedRequest {
  const request = context.switchToHttp().getRequest<Partial<ScopedRequest> | undefined>();
  if (request?.scope !== undefined) return request as ScopedRequest;
  const message = `@${decorator}(): the request has no scope; import BoughModule.forRoot() in the root module, and use the decorator on HTTP handlers only`;
  throw new BoughError("BOUGH_NO_REQUEST_SCOPE", message);
}
