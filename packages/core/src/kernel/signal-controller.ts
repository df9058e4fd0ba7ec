/** The part of an `AbortController` that a scope uses. */
export interface SignalController {
  readonly signal: AbortSignal;
  abort(reason: unknown): void;
}

/** How the signal of a scope is made. The HTTP layer replaces it on Node 20; see `http/direct-signals.ts`. */
export const signals: { make: () => SignalController } = { make: () => new AbortController() };
