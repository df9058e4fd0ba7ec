import type { Application, NextFunction, Request, Response } from "express";
import { openRequest } from "../http/open-request.js";
import { isDisconnected } from "../http/messages.js";
import { outcomeOf } from "../http/outcome.js";
import { recordOf } from "../http/request.js";
import { serverOf } from "../http/request-scope.js";
import { routeName } from "./route-name.js";

type Handle = (error: unknown, request: Request, response: Response, next: NextFunction) => unknown;

/** What Express keeps of each middleware, in both majors. */
interface Layer {
  handle: Handle;
}

interface Router {
  readonly stack: Layer[];
}

const prepared: unique symbol = Symbol("bough.prepared");

interface Prepared {
  /** How many layers the app had when it was last looked at. */
  [prepared]?: number;
}

const ours = new WeakSet<Handle>();

/** Whether {@link catchErrors} has seen the app. */
export function isPrepared(app: Application & Prepared): boolean {
  return app[prepared] !== undefined;
}

/**
 * Puts {@link onError} in front of the app's error handlers, which would take a client's going away for an error, and
 * behind them all, since they can fail of that, too. Moves no layer: requests are on their way through them.
 */
export function catchErrors(app: Application & Prepared): void {
  const { stack } = routerOf(app);
  if (app[prepared] === stack.length) return;
  for (const layer of stack)
    if (layer.handle.length === 4 && !ours.has(layer.handle)) layer.handle = guard(layer.handle);
  app.use(onError);
  app[prepared] = stack.length;
}

function guard(handle: Handle): Handle {
  const guarded: Handle = (error, request, response, next) => {
    let result: unknown;
    onError(error, request, response, () => (result = handle(error, request, response, next)));
    return result;
  };
  ours.add(guarded);
  return guarded;
}

/** `app.router` throws in Express 4, and `app._router` is no more in Express 5. */
function routerOf(app: Application): Router {
  return (app as { _router?: Router })._router ?? (app as unknown as { router: Router }).router;
}

/** With four parameters, Express takes it for an error handler. */
function onError(error: unknown, request: Request, response: Response, next: NextFunction): void {
  const record = recordOf(request);
  const outcome = outcomeOf(record, error, isDisconnected(request, response));
  record?.receive(error);
  const answered = record?.isAnswered === true;
  if (answered) spareConnection(request);
  if (outcome.status !== undefined)
    (record ?? openRequest(request, response, serverOf(request), routeName(request))).end(outcome);
  else if (!(answered && isLateAnswer(error))) next(error);
}

ours.add(onError);

/** What Express's `send` says of a file when the response has been sent, which the handler could not know. */
function isLateAnswer(error: unknown): boolean {
  return (error as Error | null)?.message === "Can't set headers after they are sent.";
}

/** Express destroys the connection of a request that fails after its answer, though it may have brought the next. */
function spareConnection(request: Request): void {
  const { socket } = request;
  const value: unknown = Object.create(socket, { destroy: { value: () => socket } });
  Object.defineProperty(request, "socket", { value, configurable: true });
}
