import { refuseOptions, wrongType } from "../errors/validate.js";
import type { ContextKey } from "../kernel/context-key.js";
import { createContextKey } from "../kernel/context-values.js";
import { effectiveDeadline } from "../kernel/deadline.js";
import type { Scope } from "../kernel/scope.js";
import { nodeOf } from "../task/node-of.js";

// Reads and writes the header that passes a deadline from one server to the next. This file sets no deadlines.

/** The default name of the header. Its value is the remaining time in milliseconds. */
const defaultDeadlineHeader: string = "x-request-timeout-ms";

/** The largest value that is accepted, in ms: a day. A larger one is a mistake. */
const MAX_LEFT = 86_400_000;

/** The context value that holds the name of the header in the scope of a server. */
export const headerName: ContextKey<string> = createContextKey(
  "bough deadline header",
  defaultDeadlineHeader,
);

/** The name of the header according to the option `deadlineHeader`, in lower case; `undefined` if it is off. */
export function deadlineHeaderOf(option: string | boolean | undefined): string | undefined {
  if (option === undefined || option === false) return undefined;
  return option === true ? defaultDeadlineHeader : option.toLowerCase();
}

/** @throws {TypeError} If the option is not a boolean or the name of a header. */
export function checkDeadlineHeader(operation: string, option: unknown): void {
  if (option === undefined || typeof option === "boolean") return;
  if (typeof option === "string" && /^[!#$%&'*+\-.^_`|~\w]+$/.test(option)) return;
  throw wrongType(operation, "deadlineHeader must be a boolean or the name of a header", option);
}

/**
 * Parses the header of a request to a timeout in ms. Returns `undefined` if it is missing, malformed or too large: a
 * client must not be able to cause harm with it.
 */
export function incomingTimeout(value: unknown): number | undefined {
  if (typeof value !== "string" || !/^\d{1,8}$/.test(value)) return undefined;
  const left = Number(value);
  return left <= MAX_LEFT ? left : undefined;
}

/**
 * Returns the headers that pass the deadline of `scope` to another server, as the remaining milliseconds. It is not an
 * instant, since the clocks of two machines differ. Empty if `scope` has no deadline.
 *
 * The other server reads them if its option `deadlineHeader` is on. The header is `x-request-timeout-ms`, or the
 * `deadlineHeader` of the server that `scope` belongs to.
 *
 * @param scope - The scope of the call, or that of the request.
 * @returns One header, or none.
 * @throws {TypeError} If `scope` is not a scope.
 * @example
 * ```ts
 * await withScope({ timeout: 2_000 }, async (scope) => {
 *   const headers = outgoingHeaders(scope);
 *   console.log(Number(headers["x-request-timeout-ms"]) <= 2_000); // true
 * });
 * ```
 */
export function outgoingHeaders(scope: Scope): Record<string, string>;
export function outgoingHeaders(scope: Scope, extra?: unknown): Record<string, string> {
  refuseOptions("outgoingHeaders", extra);
  const node = nodeOf("outgoingHeaders", "scope", scope);
  const deadline = effectiveDeadline(node);
  if (deadline === undefined) return {};
  const left = Math.min(Math.max(0, Math.floor(deadline.left)), MAX_LEFT);
  return { [node.get(headerName)]: String(left) };
}
