import { createDeadlineReason, createReason, type CancelKind } from "../errors/cancelled.js";
import { optionNames } from "../errors/option-names.js";
import { checkOptionsObject, checkType, outOfRange } from "../errors/validate.js";
import { isTracing } from "../kernel/call-site.js";
import { cancelWith } from "../kernel/lifecycle.js";
import { calendarNow } from "../kernel/platform.js";
import type { Scope } from "../kernel/scope.js";
import { isBackground, isLive } from "../kernel/state.js";
import { nodeOf } from "../task/node-of.js";

/** The options of {@link cancelAs}. */
export interface CancelAsOptions {
  /** The `cause` of the reason; ignored for kind `"deadline"`. Default: none. */
  readonly cause?: unknown;
  /** The path of the scope on which the cancellation began, in another process, for example. Default: that of `scope`. */
  readonly origin?: string | undefined;
}

const kinds: readonly CancelKind[] = [
  "explicit",
  "deadline",
  "failure",
  "signal",
  "closed",
  "orphaned",
  "disconnected",
  "shutdown",
];

export function isCancelKind(value: unknown): value is CancelKind {
  return kinds.includes(value as CancelKind);
}

const names = optionNames<CancelAsOptions>({ cause: true, origin: true });

/**
 * Cancels `scope` with a given kind. For authors of integrations: a cancellation that arrives from another process or
 * system keeps its kind. Other code calls `scope.cancel(cause)`.
 *
 * With kind `"deadline"` the reason is a `DeadlineExceededError`: a deadline has passed elsewhere. To let the deadline of the
 * scope itself pass, call {@link expire}.
 *
 * @param scope - The scope to cancel, with everything below it.
 * @param kind - The kind that `reason.kind` will be.
 * @param options - The cause, and where the cancellation began.
 * @returns `true` for the call that cancelled it; `false` if it was cancelled or closed already.
 * @throws {TypeError | RangeError} If an argument is bad. Nothing was cancelled.
 * @example
 * ```ts
 * const scope = createScope({ name: "call" });
 * cancelAs(scope, "disconnected", { cause: "the peer has closed the socket" });
 * console.log(scope.reason?.kind); // disconnected
 * ```
 */
export function cancelAs(scope: Scope, kind: CancelKind, options: CancelAsOptions = {}): boolean {
  const node = nodeOf("cancelAs", "scope", scope);
  if (!isCancelKind(kind)) throw outOfRange("cancelAs", `kind must be one of ${kinds.join(", ")}`, kind);
  checkOptionsObject("cancelAs", options, names, "{ cause }");
  checkType("cancelAs", "origin", "string", options.origin);
  const { cause, origin = node.path } = options;
  if (!isLive(node) || isBackground(node)) return false;
  cancelWith(
    node,
    kind === "deadline"
      ? createDeadlineReason(origin, calendarNow())
      : createReason(kind, origin, cause, isTracing()),
  );
  return true;
}
