import { isObjectLike } from "../errors/user-values.js";

// The signal of a request, by which its host says that the client has disconnected, while the handler runs.

/**
 * Calls back when the signal of a request tells that the client has disconnected; immediately if it has. Some hosts have no
 * signal.
 *
 * @returns A function that stops listening; `undefined` if there is nothing more to wait for.
 */
export function whenClientLeaves(request: Request, onLeft: () => void): (() => void) | undefined {
  const signal = signalOf(request);
  if (signal === undefined) return undefined;
  const onAbort = (): void => {
    if (!isWebSocketUpgrade(signal.reason)) onLeft();
  };
  if (signal.aborted) {
    onAbort();
    return undefined;
  }
  signal.addEventListener("abort", onAbort, { once: true });
  return () => signal.removeEventListener("abort", onAbort);
}

/** In Bun, a proxy of a request, or an object that inherits from one, throws when its signal is read. */
function signalOf(request: Request): AbortSignal | undefined {
  try {
    return request.signal;
  } catch {
    return undefined;
  }
}

/**
 * Whether the signal was aborted by `Deno.upgradeWebSocket`, as Deno does by default. Only its stack tells the reason from
 * that of a disconnect.
 */
function isWebSocketUpgrade(reason: unknown): boolean {
  if (!("Deno" in globalThis) || !isObjectLike(reason)) return false;
  return String((reason as { readonly stack?: unknown }).stack).includes("upgradeWebSocket");
}
