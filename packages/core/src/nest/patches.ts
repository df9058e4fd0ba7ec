import { StreamableFile } from "@nestjs/common";
import { RouterResponseController } from "@nestjs/core/router/router-response-controller.js";
import { ExceptionsHandler } from "@nestjs/core/exceptions/exceptions-handler.js";
import type { Adapter } from "./adapter.js";

// The methods of Nest that are replaced, and why.

/** Handles the failure of a request before the app's exception filters, and before Nest logs it. */
interface Interception {
  /**
   * Ends the request if the failure is its cancellation.
   *
   * @param request - That of the adapter, or of Node.
   * @param response - That of the adapter, or of Node.
   * @returns The failure for the filters and the log; `undefined` if there is none.
   */
  failureOf(error: unknown, request: never, response: never): { readonly error: unknown } | undefined;
}

const interceptions = new WeakMap<object, Interception>();
let isReplaced = false;

/**
 * Passes the failures of an app's requests through `interception` before its exception filters get them.
 *
 * Nest has no hook at that moment. It calls the first filter that matches: that of the method, then that of the controller, then
 * the global ones, the last one first. So a filter of bough would never see an error that a catch-all filter of the
 * app takes. That filter answers 500 and reports an error. This replaces the method that selects the filter.
 */
export function interceptFailures(adapter: Adapter, interception: Interception): void {
  interceptions.set(adapter, interception);
  if (isReplaced) return;
  isReplaced = true;
  interceptStreams();
  const { prototype } = ExceptionsHandler;
  // oxlint-disable-next-line typescript/unbound-method -- it is called with its receiver
  const original = prototype.next;
  prototype.next = function next(exception, host): void {
    const { applicationRef } = this as unknown as { applicationRef?: object };
    const found = applicationRef === undefined ? undefined : interceptions.get(applicationRef);
    if (found === undefined || host.getType() !== "http") return original.call(this, exception, host);
    const failure = found.failureOf(exception, host.getArgByIndex<never>(0), host.getArgByIndex<never>(1));
    if (failure !== undefined) original.call(this, failure.error as Error, host);
  };
}

type LogError = (error: Error) => void;

/**
 * Passes the failures of streams through the interception of their app. They come after the headers, so Nest logs them
 * itself, as errors, and no filter gets them. This replaces the methods that send streams.
 */
function interceptStreams(): void {
  const { prototype } = RouterResponseController;
  for (const name of ["stream", "sse"] as const) {
    const original: unknown = prototype[name];
    if (typeof original !== "function") continue; // an older Nest has no `stream`
    const value = function (
      this: Sender,
      ...args: [body: unknown, response: object, request: object]
    ): unknown {
      const { logger } = this;
      const error = withoutCancellation(this, args[2], args[1], (failure) => logger.error(failure));
      if (error === undefined) return Reflect.apply(original, this, args);
      const filtered: unknown = Object.create(logger, { error: { value: error } });
      return Reflect.apply(original, Object.create(this, { logger: { value: filtered } }), args);
    };
    Object.defineProperty(prototype, name, { value, configurable: true, writable: true });
  }
  // oxlint-disable-next-line typescript/unbound-method -- it is called with its receiver
  const original: unknown = prototype.apply;
  if (typeof original !== "function") return;
  const value = function (this: Sender, result: unknown, response: HasRequest, status: unknown): unknown {
    if (result instanceof StreamableFile) {
      const request = response.req ?? response.request;
      const logError = withoutCancellation(this, request, response, result.errorLogger);
      if (logError !== undefined) result.setErrorLogger(logError);
    }
    return original.call(this, result, response, status) as unknown;
  };
  Object.defineProperty(prototype, "apply", { value, configurable: true, writable: true });
}

/** The object of Nest that sends the responses of an app. */
interface Sender {
  readonly applicationRef?: object;
  readonly logger: { readonly error: LogError };
}

/** A response of Express, or a reply of Fastify. */
interface HasRequest {
  readonly req?: object;
  readonly request?: object;
}

/** Returns a `log` for the failures that are not the cancellation of the request; `undefined` in an app without bough. */
function withoutCancellation(
  { applicationRef }: Sender,
  request: object | undefined,
  response: object,
  log: LogError,
): LogError | undefined {
  const found = applicationRef === undefined ? undefined : interceptions.get(applicationRef);
  if (found === undefined || request === undefined) return undefined;
  let hasEnded = false; // then the response is broken off, and Nest can't write to it
  return (error) => {
    if (hasEnded) return;
    const failure = found.failureOf(error, request as never, response as never);
    if (failure === undefined) hasEnded = true;
    else log(failure.error as Error);
  };
}

/** Whether the app of an adapter is prepared. */
export function isIntercepted(adapter: Adapter): boolean {
  return interceptions.has(adapter);
}

/**
 * Awaits `shutDown` when the app closes, before Nest calls any of its shutdown hooks: they close the resources that
 * running requests use.
 *
 * The hooks themselves come too late. Nest calls those of a module in the order of its distance from the root module, and those of
 * a global module last. Nest calls `beforeClose` of the adapter before all of them, and awaits it.
 */
export function beforeShutdownHooks(adapter: Adapter, shutDown: () => Promise<void>): void {
  const original: unknown = Reflect.get(adapter, "beforeClose");
  const value = async function beforeClose(): Promise<void> {
    if (typeof original === "function") await Reflect.apply(original, adapter, []);
    await shutDown();
  };
  Object.defineProperty(adapter, "beforeClose", { value, configurable: true, writable: true });
}
