// The signal of a request, by which its host says that the client has disconnected, while the handler runs.

/**
 * Calls back when the signal of a request, if its host has one, says that the client has disconnected, at once if it has said so.
 *
 * @returns How to stop listening; `undefined` if there is nothing more to wait for.
 */
export function whenClientLeaves(
  signal: AbortSignal | undefined,
  onLeft: () => void,
): (() => void) | undefined {
  if (signal === undefined) return undefined;
  const onAbort = (): void => {
    if (!isUpgrade(signal.reason)) onLeft();
  };
  if (signal.aborted) {
    onAbort();
    return undefined;
  }
  signal.addEventListener("abort", onAbort, { once: true });
  return () => signal.removeEventListener("abort", onAbort);
}

/**
 * Whether the signal was aborted by `Deno.upgradeWebSocket`, as Deno does by default. The reason is that of a disconnect, but
 * for its stack.
 */
function isUpgrade(reason: unknown): boolean {
  if (!("Deno" in globalThis) || typeof reason !== "object" || reason === null) return false;
  return String((reason as { readonly stack?: unknown }).stack).includes("upgradeWebSocket");
}
