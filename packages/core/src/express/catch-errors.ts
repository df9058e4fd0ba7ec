import type { Application, NextFunction, Request, Response } from "express";
import { openRequest } from "../http/open-request.js";
import { isDisconnected } from "../http/messages.js";
import { outcomeOf } from "../http/outcome.js";
import { recordOf } from "../http/request-records.js";
import { serverOf } from "../http/request-scope.js";
import { routeName } from "./route-name.js";
import { stackOf } from "./router-stack.js";

// Passes the errors of handlers to their requests before the app's error handlers run. For that, it wraps the error
// handlers in the layers of the app's router.

type ErrorHandler = (error: unknown, request: Request, response: Response, next: NextFunction) => unknown;

/** A layer of Express's router, one per middleware: the part that both majors have. */
interface Layer {
  handle: ErrorHandler;
}

const prepared: unique symbol = Symbol("bough.prepared");

interface Prepared {
  /** How many layers the app had at the last check. */
  [prepared]?: number;
}

const guardedHandlers = new WeakSet<ErrorHandler>();

/** Whether {@link catchErrors} has seen the app. */
export function isPrepared(app: Application & Prepared): boolean {
  return app[prepared] !== undefined;
}

/**
 * Calls {@link onError} before each of the app's error handlers, because they would treat a disconnect as an error.
 * Also calls it after the last one, because error handlers can fail for the same reason. Layers are not moved, because
 * requests are being routed.
 */
export function catchErrors(app: Application & Prepared): void {
  const stack = stackOf<Layer>(app);
  if (app[prepared] === stack.length) return;
  for (const layer of stack)
    if (layer.handle.length === 4 && !guardedHandlers.has(layer.handle)) layer.handle = guard(layer.handle);
  app.use(onError);
  app[prepared] = stack.length;
}

function guard(handle: ErrorHandler): ErrorHandler {
  const guarded: ErrorHandler = (error, request, response, next) => {
    let result: unknown;
    onError(error, request, response, () => (result = handle(error, request, response, next)));
    return result;
  };
  guardedHandlers.add(guarded);
  return guarded;
}

/** Ends a cancelled request, and passes every other error on. Its four parameters make it an error handler to Express. */
function onError(error: unknown, request: Request, response: Response, next: NextFunction): void {
  if (endIfCancelled(error, request, response)) return;
  const answered = recordOf(request)?.isAnswered === true;
  if (!(answered && isLateAnswer(error))) next(error);
}

/** Ends a request that failed because of its cancellation. Returns false for any other failure. */
export function endIfCancelled(error: unknown, request: Request, response: Response): boolean {
  const record = recordOf(request);
  const outcome = outcomeOf(record, error, isDisconnected(request, response));
  record?.receive(error);
  if (record?.isAnswered === true) protectConnection(request);
  if (outcome.status === undefined) return false;
  (record ?? openRequest(request, response, serverOf(request), routeName(request))).end(outcome);
  return true;
}

guardedHandlers.add(onError);

/** Whether the error comes from sending a file after the answer in the handler's place. */
function isLateAnswer(error: unknown): boolean {
  return (error as Error | null)?.message === "Can't set headers after they are sent.";
}

/** Keeps Express from destroying the connection of a request that fails after its answer: it may carry the next request. */
function protectConnection(request: Request): void {
  const { socket } = request;
  const value: unknown = Object.create(socket, { destroy: { value: () => socket } });
  Object.defineProperty(request, "socket", { value, configurable: true });
}
