import type { NextFunction, Request, Response } from "express";
import { openRequest } from "../http/open-request.js";
import { isDisconnected } from "../http/messages.js";
import { outcomeOf } from "../http/outcome.js";
import { recordOf } from "../http/request-records.js";
import { serverOf } from "../http/request-scope.js";
import {
  excludeFromGuard,
  guardErrorHandlers,
  preparedKey,
  protectConnection,
  type ErrorLayer,
  type PreparedApp,
} from "./patches.js";
import { routeName } from "./route-name.js";
import { stackOf } from "./router-stack.js";

// Passes the errors of handlers to their requests before the app's error handlers run.

/** Whether {@link catchErrors} has seen the app. */
export function isPrepared(app: PreparedApp): boolean {
  return app[preparedKey] !== undefined;
}

/**
 * Calls {@link onError} before each of the app's error handlers, because they would treat a disconnect as an error.
 * Also calls it after the last one, because error handlers can fail for the same reason.
 */
export function catchErrors(app: PreparedApp): void {
  const stack = stackOf<ErrorLayer>(app);
  if (app[preparedKey] === stack.length) return;
  guardErrorHandlers(stack, onError);
  app.use(onError);
  app[preparedKey] = stack.length;
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

excludeFromGuard(onError);

/** Whether the error comes from sending a file after the answer in the handler's place. */
function isLateAnswer(error: unknown): boolean {
  return (error as Error | null)?.message === "Can't set headers after they are sent.";
}
