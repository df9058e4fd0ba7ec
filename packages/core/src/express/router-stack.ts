import type { Application } from "express";

/** The layers of an app's router: one for each middleware and route. `L` is the part of a layer that the caller uses. */
export function stackOf<L>(app: Application): L[] {
  // Express 4 has `_router`, and throws on `router`. Express 5 has `router` only.
  const router = (app as { _router?: object })._router ?? (app as unknown as { router: object }).router;
  return (router as { readonly stack: L[] }).stack;
}
