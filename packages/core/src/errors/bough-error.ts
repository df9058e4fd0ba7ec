import type { BoughErrorCode } from "./codes.js";

/**
 * The base of every error that bough itself makes. User errors are never wrapped in one.
 *
 * @example
 * ```ts
 * const scope = createScope({ name: "jobs" });
 * await scope.close();
 * try {
 *   spawn(scope, () => "too late");
 * } catch (error) {
 *   console.log(error instanceof BoughError && error.code); // "BOUGH_SCOPE_CLOSED"
 * }
 * ```
 */
export class BoughError extends Error {
  /** A stable identifier, for code that must not depend on the message. */
  readonly code: BoughErrorCode;

  constructor(code: BoughErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  static {
    this.prototype.name = "BoughError";
  }
}
