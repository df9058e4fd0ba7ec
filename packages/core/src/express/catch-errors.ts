import type { Application, NextFunction, Request, RequestHandler, Response } from "express";
import { conclude, statusOf } from "../http/answer.js";
import { recordOf } from "../http/open-request.js";

/** What Express keeps of each middleware, in both majors. */
interface Layer {
  readonly handle: (...args: never[]) => unknown;
}

interface Router {
  readonly stack: Layer[];
}

const prepared = new WeakSet<Application>();

/**
 * Puts {@link onError} into `app`, once, behind `middleware`: before the app's own error handlers, which would take a
 * client's going away for an error, and behind them all, since they can fail of that, too.
 */
export function catchErrors(app: Application, middleware: RequestHandler): void {
  if (prepared.has(app)) return;
  prepared.add(app);
  app.use(onError);
  const { stack } = routerOf(app);
  const own = stack.at(-1);
  const start = stack.findIndex(({ handle }) => handle === middleware) + 1;
  for (let at = stack.length - 2; own !== undefined && at >= start; at--)
    if (catches(stack[at]) && !catches(stack[at - 1])) stack.splice(at, 0, own);
}

function catches(layer: Layer | undefined): boolean {
  return layer?.handle.length === 4;
}

/** `app.router` throws in Express 4, and `app._router` is no more in Express 5. */
function routerOf(app: Application): Router {
  return (app as { _router?: Router })._router ?? (app as unknown as { router: Router }).router;
}

/** With four parameters, Express takes it for an error handler. */
function onError(error: unknown, request: Request, response: Response, next: NextFunction): void {
  const record = recordOf(request);
  record?.receive(error);
  const status = statusOf(request, response, record, error);
  if (record?.answered === true) spareConnection(request);
  else if (status !== undefined) conclude(request, response, status);
  if (status === undefined) next(error);
}

/** Express destroys the connection of a request that fails after its answer, though it may have brought the next. */
function spareConnection(request: Request): void {
  const { socket } = request;
  const value: unknown = Object.create(socket, { destroy: { value: () => socket } });
  Object.defineProperty(request, "socket", { value, configurable: true });
}
