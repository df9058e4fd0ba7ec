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
 * Puts {@link onError} into `app`, once: after `middleware` and its routes, before the app's own error handlers, which
 * would take a client's going away for an error, and behind them, since they can fail of that, too.
 */
export function catchErrors(app: Application, middleware: RequestHandler): void {
  if (prepared.has(app)) return;
  prepared.add(app);
  app.use(onError);
  const { stack } = routerOf(app);
  const start = stack.findIndex(({ handle }) => handle === middleware) + 1;
  const first = stack.findIndex(({ handle }, index) => index >= start && handle.length === 4);
  const own = stack.at(-1);
  if (own !== undefined && stack[first] !== own) stack.splice(first, 0, own);
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
  if (status === undefined) {
    // The handler answered after all, when that had been done in its place.
    const late =
      record?.answered === true && (error as { code?: unknown } | null)?.code === "ERR_HTTP_HEADERS_SENT";
    if (!late) next(error);
  } else {
    conclude(request, response, status);
  }
}
