import { withoutStack } from "../errors/cancelled.js";
import { isObjectLike } from "../errors/user-values.js";
import { argumentList, type HostArguments } from "./host-arguments.js";

type WaitUntil = (promise: Promise<unknown>) => void;

/** Finds the host's function to stay alive until a promise has settled. */
export class WaitUntilFinder {
  /**
   * Whether Hono's contexts may have an `executionCtx` though their `env` comes from a server. The getter throws if there
   * is none, which takes microseconds.
   */
  #mayServerHaveOne = true;

  /** From an argument, as in workers, from Hono's context, or from the request, as in srvx. */
  find(request: Request, rest: HostArguments): WaitUntil | undefined {
    for (const holder of argumentList(rest)) {
      const waitUntil = waitUntilIn(holder) ?? waitUntilIn(this.#executionContextOf(holder));
      if (waitUntil !== undefined) return waitUntil;
    }
    return waitUntilIn(request);
  }

  #executionContextOf(holder: unknown): unknown {
    if (!isObjectLike(holder) || !("executionCtx" in holder)) return undefined;
    const isOfServer = isServerEnv((holder as { readonly env?: unknown }).env);
    if (isOfServer && !this.#mayServerHaveOne) return undefined;
    try {
      return withoutStack(
        () => holder.executionCtx,
        (context) => context,
      );
    } catch {
      if (isOfServer) this.#mayServerHaveOne = false;
      return undefined;
    }
  }
}

/** Whether Hono got the value from node-server, `Bun.serve` or `Deno.serve`, which pass no execution context. */
function isServerEnv(env: unknown): boolean {
  if (!isObjectLike(env)) return false;
  return ("incoming" in env && "outgoing" in env) || "requestIP" in env || "remoteAddr" in env;
}

function waitUntilIn(holder: unknown): WaitUntil | undefined {
  if (!isObjectLike(holder)) return undefined;
  const { waitUntil } = holder as { readonly waitUntil?: unknown };
  return typeof waitUntil === "function" ? (promise) => void waitUntil.call(holder, promise) : undefined;
}
