type WaitUntil = (promise: Promise<unknown>) => void;

/** Finds the host's function to stay alive until a promise has settled. */
export class WaitUntilFinder {
  /**
   * Whether Hono's contexts may have an `executionCtx`. The getter throws on hosts that have none, which takes
   * microseconds.
   */
  #mayHaveExecutionContext = true;

  /** From an argument, as in workers, from Hono's context, or from the request, as in srvx. */
  find(request: Request, rest: readonly unknown[]): WaitUntil | undefined {
    for (const holder of rest) {
      const waitUntil = waitUntilIn(holder) ?? waitUntilIn(this.#executionContextOf(holder));
      if (waitUntil !== undefined) return waitUntil;
    }
    return waitUntilIn(request);
  }

  #executionContextOf(holder: unknown): unknown {
    if (!this.#mayHaveExecutionContext || typeof holder !== "object" || holder === null) return undefined;
    try {
      return (holder as { readonly executionCtx?: unknown }).executionCtx;
    } catch {
      this.#mayHaveExecutionContext = false;
      return undefined;
    }
  }
}

function waitUntilIn(holder: unknown): WaitUntil | undefined {
  if (typeof holder !== "object" || holder === null) return undefined;
  const { waitUntil } = holder as { readonly waitUntil?: unknown };
  return typeof waitUntil === "function" ? (promise) => void waitUntil.call(holder, promise) : undefined;
}
