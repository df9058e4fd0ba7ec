import type { Application, NextFunction, Request, Response } from "express";

// Everything that is set on the objects of Express or replaced in them, and why. In addition, each middleware marks the
// servers that it has seen: see express-bough.ts.

/** On an app: how many layers it had when its error handlers were last wrapped. */
export const preparedKey: unique symbol = Symbol("bough.prepared");

export type PreparedApp = Application & { [preparedKey]?: number };

export type ErrorHandler = (
  error: unknown,
  request: Request,
  response: Response,
  next: NextFunction,
) => unknown;

/** A layer of Express's router, one per middleware: the part that both majors have. */
export interface ErrorLayer {
  handle: ErrorHandler;
}

const guardedHandlers = new WeakSet<ErrorHandler>();

/** Excludes an error handler of bough from {@link guardErrorHandlers}. */
export function excludeFromGuard(handle: ErrorHandler): void {
  guardedHandlers.add(handle);
}

/**
 * Calls `onError` before each error handler among `layers`. Layers are changed in place and not moved, because requests
 * are being routed.
 */
export function guardErrorHandlers(layers: readonly ErrorLayer[], onError: ErrorHandler): void {
  for (const layer of layers)
    if (layer.handle.length === 4 && !guardedHandlers.has(layer.handle))
      layer.handle = guard(layer.handle, onError);
}

function guard(handle: ErrorHandler, onError: ErrorHandler): ErrorHandler {
  const guarded: ErrorHandler = (error, request, response, next) => {
    let result: unknown;
    onError(error, request, response, () => (result = handle(error, request, response, next)));
    return result;
  };
  guardedHandlers.add(guarded);
  return guarded;
}

/** Defines `scope` on a request, or on the prototype of an app's requests. */
export function defineScope(target: object, get: (this: Request) => unknown): void {
  Object.defineProperty(target, "scope", { configurable: true, enumerable: false, get });
}

/** Keeps Express from destroying the connection of a request that fails after its answer: it may carry the next request. */
export function protectConnection(request: Request): void {
  const { socket } = request;
  const value: unknown = Object.create(socket, { destroy: { value: () => socket } });
  Object.defineProperty(request, "socket", { value, configurable: true });
}
