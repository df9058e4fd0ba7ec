import { wrongType } from "../errors/validate.js";
import { createContextKey, type ContextKey } from "../kernel/context.js";
import { effectiveDeadline } from "../kernel/deadline.js";
import type { Scope } from "../kernel/scope.js";
import { nodeOf } from "../task/resolve.js";
import type { AnyRequest } from "./messages.js";

/** The header in which a deadline travels unless told otherwise: the milliseconds that are left. */
const defaultDeadlineHeader: string = "x-request-timeout-ms";

/** A day: nobody waits longer for a response, so a larger value is a mistake. */
const MAX_LEFT = 86_400_000;

/** The name that the server which a scope belongs to has for the header. */
export const headerName: ContextKey<string> = createContextKey(
  "bough deadline header",
  defaultDeadlineHeader,
);

/** What the option `deadlineHeader` means: the name of the header, in lower case; `undefined` when it is off. */
export function deadlineHeaderOf(option: string | boolean | undefined): string | undefined {
  if (option === undefined || option === false) return undefined;
  return option === true ? defaultDeadlineHeader : option.toLowerCase();
}

/** @throws {TypeError} If the option is no name of a header. */
export function checkDeadlineHeader(operation: string, option: unknown): void {
  if (option === undefined || typeof option === "boolean") return;
  if (typeof option === "string" && /^[!#$%&'*+\-.^_`|~\w]+$/.test(option)) return;
  throw wrongType(operation, "deadlineHeader must be a boolean or the name of a header", option);
}

/**
 * The milliseconds in which a request has to be answered according to its header. `undefined` if there is no header, or one that makes no sense: whoever sent it must not be able to do harm with it.
 */
export function incomingTimeout(request: AnyRequest, name: string): number | undefined {
  const value = request.headers[name];
  if (typeof value !== "string" || !/^\d{1,8}$/.test(value)) return undefined;
  const left = Number(value);
  return left <= MAX_LEFT ? left : undefined;
}

/**
 * The headers with which a deadline travels to the server that is called: the milliseconds that are left to
 * `scope`. Time that is left, not an instant, since the clocks of two machines differ. Empty for a scope that
 * has no deadline.
 *
 * The other side reads them if its option `deadlineHeader` is on. The header is `x-request-timeout-ms`, or
 * what the server that `scope` belongs to was told.
 *
 * @param scope - The scope of the call, or the request's.
 * @throws {TypeError} If `scope` is no scope.
 * @example
 * ```ts
 * await withScope({ timeout: 2_000 }, async (scope) => {
 *   const headers = outgoingHeaders(scope);
 *   console.log(Number(headers["x-request-timeout-ms"]) <= 2_000); // true
 * });
 * ```
 */
export function outgoingHeaders(scope: Scope): Record<string, string> {
  const node = nodeOf("outgoingHeaders", "scope", scope);
  const deadline = effectiveDeadline(node);
  if (deadline === undefined) return {};
  const left = Math.min(Math.max(0, Math.floor(deadline.left)), MAX_LEFT);
  return { [node.get(headerName)]: String(left) };
}
