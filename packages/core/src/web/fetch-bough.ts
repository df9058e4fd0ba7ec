import { BoughError } from "../errors/bough-error.js";
import { isCancelled } from "../errors/cancelled.js";
import { optionNames } from "../errors/option-names.js";
import type { TaskInfo } from "../errors/scope-errors.js";
import { checkDuration, wrongType } from "../errors/validate.js";
import { addHook } from "../kernel/cancel-hooks.js";
import { callSite } from "../kernel/call-site.js";
import { defer } from "../kernel/defers.js";
import { publishOpen } from "../kernel/diagnostics.js";
import { backgroundNode } from "../kernel/scope-view.js";
import type { Scope } from "../kernel/scope.js";
import { initialServer, isClosed } from "../kernel/state.js";
import { checkDeadlineHeader, deadlineHeaderOf, headerName } from "../http/deadline-header.js";
import type { RequestOutcome } from "../http/outcome.js";
import { checkRequestOptions, type RequestScopeOptions } from "../http/request-options.js";
import { checkHooks } from "../http/responder.js";
import {
  ServerHandle,
  SHUTDOWN,
  type ServerScope,
  type ShutdownOptions,
  type ShutdownReport,
} from "../http/server-handle.js";
import { StopHook } from "../http/shutdown-steps.js";
import { linkChild, makeChild } from "../task/child.js";
import { applyOptions, checkOptions, setIsCancellation, type ScopeOptions } from "../task/options.js";
import { watchHandle } from "../task/orphan.js";
import { nodeOf } from "../task/node-of.js";
import type { Exchange } from "./exchange.js";
import type { WebHooks } from "./hooks.js";
import { packArguments, type AnyApp, type AnyHandler } from "./host-arguments.js";
import { shutDown } from "./shutdown.js";
import { exchangeOf, WebServer, type RequestPolicy } from "./web-server.js";

/** The options of `fetchBough`. `Input` is the request of the host, `Rest` what it passes after it. */
export interface FetchBoughOptions<
  Input = Request,
  Rest extends readonly unknown[] = readonly never[],
> extends WebHooks<Input> {
  /** The name of the scope that the requests are in. Default: `"server"`. */
  readonly name?: string | undefined;
  /** The parent of that scope. When it is cancelled, so are the requests, without a grace period. Default: none, a root. */
  readonly parent?: Scope | undefined;
  /**
   * The name of a request's scope: a string, if all requests have one route, or a function. Default: method and path,
   * without the query, which may hold secrets. An error that the function throws is printed.
   */
  readonly route?: string | ((request: Input, ...rest: Rest) => string | undefined) | undefined;
  /** Milliseconds that running requests get to finish at a shutdown. Default: 10,000. */
  readonly grace?: number | undefined;
  /**
   * Milliseconds between the beginning of a shutdown and its grace period, for load balancers that poll a readiness
   * probe: the probe answers 503 while `draining`. Default: 0.
   */
  readonly drainDelay?: number | undefined;
  /** Milliseconds that each request has. Default: no limit. */
  readonly timeout?: number | undefined;
  /** Lets a header limit the requests: `true` for `x-request-timeout-ms`, or a name. Default: off. */
  readonly deadlineHeader?: string | boolean | undefined;
  /**
   * Receives the failures of requests and jobs that have no other receiver. Default: those of requests are printed with
   * `console.error`, and those of jobs are unhandled rejections.
   */
  readonly onError?: ((error: unknown, task: TaskInfo) => void) | undefined;
  /** Says which further errors are cancellations, in every request and job; as in `ScopeOptions`. Default: none. */
  readonly isCancellation?: ScopeOptions["isCancellation"];
}

const names = optionNames<FetchBoughOptions>({
  name: true,
  parent: true,
  route: true,
  grace: true,
  drainDelay: true,
  timeout: true,
  deadlineHeader: true,
  onError: true,
  isCancellation: true,
  onCancelled: true,
  respond: true,
});

/** A handler: it gets the request, its scope, and what the host passes. */
export type FetchHandler<Input, Rest extends readonly unknown[], Output> = (
  request: Input,
  scope: Scope,
  ...rest: Rest
) => Output | Promise<Output>;

/** An application of Hono, h3 or another framework: its `fetch` gets the request, and what the host passes. */
export interface FetchApp<Input, Rest extends readonly unknown[], Output> {
  /** Called as its own method. It finds the scope by `requestScope(request)`. */
  fetch(request: Input, ...rest: Rest): Output | Promise<Output>;
}

/** A handler whose requests have scopes: what `fetchBough` returns, to be given to the host. */
export interface FetchBough<Input, Rest extends readonly unknown[], Output> {
  (request: Input, ...rest: Rest): Promise<Output | Response>;
  /** The parent of the requests' scopes: the place for work that outlives a request. */
  readonly scope: ServerScope;
  /**
   * Ends the requests: they finish within the grace period, and are cancelled after it. The same as `scope.shutdown`.
   *
   * Have the host stop listening first, or at the same time: bough does not know the host.
   */
  shutdown(options?: ShutdownOptions): Promise<ShutdownReport>;
}

class WebHandle extends ServerHandle<WebServer> {
  protected override shutDown(options?: ShutdownOptions): Promise<ShutdownReport> {
    return shutDown(this.serverState, options);
  }
}

/**
 * Gives each request of a fetch-style host a scope: for Hono, `Bun.serve`, `Deno.serve`, srvx, h3, route handlers of Next.js
 * and workers.
 *
 * An application (an object with a `fetch` method) is called without the scope. Its handlers call
 * `requestScope(request)`, which creates the scope on the first call.
 *
 * The scope ends when the body of the response has been sent, has failed, or was cancelled by the client. If there is
 * nothing to wait for, it ends at once, and the response is passed on unchanged. Tasks that still run are cancelled
 * (kind `"closed"`) and awaited.
 *
 * **Cancellation:**
 *
 * - kind `"disconnected"`: the client went away before the response was complete;
 * - kind `"deadline"`: the time is up;
 * - kind `"shutdown"`: the grace period is over.
 *
 * A request that was cancelled is answered with 499, 503 or 504, and never rejects.
 *
 * **Failure:** every other failure of the handler rejects, unchanged, and goes to the host or its framework. If a task has
 * failed, that is the failure of the task.
 *
 * @param handler - Called with the request, its scope, and the other arguments of the host. Or an application, such as one of
 *   Hono or h3, whose `fetch` is called with the request and the other arguments of the host.
 * @param options - `timeout` in ms.
 * @returns The function to give to the host, with `scope` and `shutdown()`.
 * @throws {TypeError | RangeError} If an argument is of the wrong type or out of range.
 * @example
 * ```ts
 * import { all } from "bough";
 * import { fetchBough } from "bough/web";
 *
 * const handle = fetchBough(
 *   async (request: Request, scope) => {
 *     const [a, b] = await all(scope, [async () => 1, async () => 2]);
 *     return Response.json({ path: new URL(request.url).pathname, sum: a + b });
 *   },
 *   { timeout: 5_000 },
 * );
 * // Bun.serve({ fetch: handle }), Deno.serve(handle), export default { fetch: handle } …
 * const response = await handle(new Request("http://localhost/sum"));
 * console.log(await response.json()); // { path: "/sum", sum: 3 }
 * await handle.shutdown();
 * ```
 * @example An application
 * ```ts
 * import { sleep } from "bough";
 * import { fetchBough, requestScope } from "bough/web";
 *
 * const app = {
 *   async fetch(request: Request) {
 *     await sleep(requestScope(request), 1);
 *     return new Response("hello");
 *   },
 * };
 * const handle = fetchBough(app);
 * console.log(await (await handle(new Request("http://localhost/"))).text()); // hello
 * await handle.shutdown();
 * ```
 */
export function fetchBough<Input extends Request, Rest extends unknown[], Output>(
  handler: FetchHandler<Input, Rest, Output> | FetchApp<Input, Rest, Output>,
  options: FetchBoughOptions<Input, Rest> = {},
): FetchBough<Input, Rest, Output> {
  const isApp = isApplication(handler);
  if (!isApp && typeof handler !== "function")
    throw wrongType(
      "fetchBough",
      "handler must be a function, or an application with a function fetch",
      handler,
    );
  checkFetchOptions(options as FetchBoughOptions);
  const { server, handle } = create(options as FetchBoughOptions, callSite(fetchBough));
  const serve = isApp
    ? (request: Input, ...rest: Rest): Promise<unknown> => {
        checkRequest("fetchBough", request);
        return server.serveApp(handle, request, packArguments(rest), handler);
      }
    : function (this: unknown, request: Input, ...rest: Rest): Promise<unknown> {
        checkRequest("fetchBough", request);
        return server.serve(handle, request, packArguments(rest), handler as unknown as AnyHandler, this);
      };
  return Object.assign(serve as (request: Input, ...rest: Rest) => Promise<Output | Response>, {
    scope: handle,
    shutdown: (options?: ShutdownOptions) => handle.shutdown(options),
  });
}

function isApplication(value: unknown): value is AnyApp {
  return (
    typeof value === "object" && value !== null && typeof (value as { fetch?: unknown }).fetch === "function"
  );
}

function create(
  options: FetchBoughOptions,
  site: string | undefined,
): { readonly server: WebServer; readonly handle: WebHandle } {
  const parent =
    options.parent === undefined ? backgroundNode : nodeOf("fetchBough", "parent", options.parent);
  const node = makeChild("fetchBough", parent, options.name ?? "server", initialServer);
  linkChild(node, undefined, site);
  const { onError, isCancellation, timeout, grace, drainDelay } = options;
  const deadlineHeader = deadlineHeaderOf(options.deadlineHeader);
  const policy: RequestPolicy = {
    timeout,
    deadlineHeader,
    route: options.route,
    hooks: options,
  };
  const server = new WebServer(node, policy, grace, drainDelay);
  const handle = new WebHandle(node, server);
  const isRefused = isClosed(node);
  if (onError !== undefined || isCancellation !== undefined) applyOptions(node, { onError, isCancellation });
  if (isRefused) {
    void shutDown(server, { grace: 0 });
    return { server, handle };
  }
  if (deadlineHeader !== undefined) node.set(headerName, deadlineHeader);
  addHook(node, new StopHook(node, (given) => shutDown(server, given)));
  defer(node, "fetchBough", () => server.drained, SHUTDOWN);
  // "ignore": a handler that is dropped leaves nothing undone.
  watchHandle(handle, node, "ignore");
  publishOpen(node, "server");
  return { server, handle };
}

function checkFetchOptions(options: FetchBoughOptions): void {
  checkOptions("fetchBough", options, names);
  checkDuration("fetchBough", "drainDelay", options.drainDelay);
  checkDeadlineHeader("fetchBough", options.deadlineHeader);
  checkHooks("fetchBough", options);
  const { route } = options;
  if (route !== undefined && typeof route !== "string" && typeof route !== "function")
    throw wrongType("fetchBough", "route must be a string or a function", route);
}

/** @throws {TypeError} If `value` is not a request of a fetch-style host. */
function checkRequest(operation: string, value: unknown): void {
  if (typeof value === "object" && value !== null && "method" in value && "url" in value) return;
  throw wrongType(operation, "request must be a Request", value);
}

/**
 * Returns the scope of a request that goes through `fetchBough`: the one that its handler receives, for middleware, and for
 * handlers that a framework calls.
 *
 * @param request - The request that `fetchBough` was called with, in Hono `c.req.raw`. A copy of it has no scope.
 * @param options - `name` and `timeout` in ms.
 * @returns The scope of the request, the same for every call.
 * @throws {BoughError} If the request did not go through `fetchBough`.
 * @throws {TypeError | RangeError} If an argument is of the wrong type or out of range.
 * @example
 * ```ts
 * import { fetchBough, requestScope } from "bough/web";
 *
 * const handle = fetchBough((request: Request) => {
 *   const scope = requestScope(request, { timeout: 2_000 });
 *   return new Response(scope.name);
 * });
 * console.log(await (await handle(new Request("http://localhost/a?b=c"))).text()); // GET /a
 * ```
 */
export function requestScope(request: Request, options?: RequestScopeOptions): Scope {
  const exchange = exchangeFor("requestScope", request);
  const { node } = exchange;
  if (options === undefined) return node;
  checkRequestOptions("requestScope", options);
  if (options.name !== undefined) node.label = options.name;
  if (options.isCancellation !== undefined) setIsCancellation(node, options.isCancellation);
  if (options.timeout !== undefined) exchange.record.limit(options.timeout);
  return node;
}

/**
 * Returns the meaning of a handler's failure for its request, for frameworks that catch the errors of handlers before
 * `fetchBough` does, such as Hono.
 *
 * - `{ status: 499 | 503 | 504, error }`: the request was cancelled. Answer with that status.
 * - `{ error }`: a failure. Answer 500 and report `error`. If a task of the request has failed, the handler usually gets the
 *   cancellation that followed; then `error` is the failure of the task.
 *
 * **Failure:** the failure counts as received: it is not reported again.
 *
 * A request that did not go through `fetchBough`, such as one of `app.request()` in a test, has only failures.
 *
 * @param request - The request that `fetchBough` was called with.
 * @param error - The failure of the handler.
 * @returns What the error means for the request.
 * @throws {TypeError} If `request` is not a request.
 * @example
 * ```ts
 * import { sleep } from "bough";
 * import { fetchBough, requestOutcome } from "bough/web";
 *
 * const handle = fetchBough(async (request: Request, scope) => {
 *   try {
 *     await sleep(scope, 60_000);
 *     return new Response("done");
 *   } catch (error) {
 *     const outcome = requestOutcome(request, error);
 *     return new Response("sorry", { status: outcome.status ?? 500 });
 *   }
 * }, { timeout: 10 });
 * console.log((await handle(new Request("http://localhost/"))).status); // 503
 * ```
 */
export function requestOutcome(request: Request, error: unknown): RequestOutcome {
  checkRequest("requestOutcome", request);
  const exchange = exchangeOf(request);
  // An error handler must not fail: in @hono/node-ws, for example, that would end the process.
  if (exchange === undefined)
    return { error: isCancelled(error) ? withoutScope("requestOutcome", { cause: error }) : error };
  const { record } = exchange;
  const outcome = exchange.outcomeOf(error);
  record.receive(error);
  if (outcome.status !== undefined) record.log(outcome);
  return outcome;
}

function exchangeFor(operation: string, request: Request): Exchange {
  checkRequest(operation, request);
  const exchange = exchangeOf(request);
  if (exchange === undefined) throw withoutScope(operation);
  return exchange;
}

function withoutScope(operation: string, options?: ErrorOptions): BoughError {
  return new BoughError(
    "BOUGH_NO_REQUEST_SCOPE",
    `${operation}: the request did not go through fetchBough; pass the request object that it received (in Hono c.req.raw, before middleware such as bodyLimit replaces it), not a copy`,
    options,
  );
}
