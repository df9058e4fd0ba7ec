import { MAX_CAUSES } from "./constants.js";
import type { CancelledError } from "../errors/cancelled.js";
import { describe } from "../errors/describe.js";
import { consistsOf, isForeignAbort } from "../errors/foreign-aborts.js";
import { isObjectLike, read } from "../errors/user-values.js";
import type { ScopeNode } from "./node.js";
import { report } from "./outcome.js";
import { isUnderIsCancellation } from "./state.js";

/**
 * Returns whether a rejection in a cancelled scope follows from the cancellation, so that it is not a failure (rule
 * 12). It does if one of these holds:
 *
 * 1. it is the reason, or has the reason among its causes, as the rejections of `timers/promises` and `events.once`
 * have. Even a TypeError counts if its cause is the reason;
 * 2. it is the rejection of a known client after an abort: see `errors/foreign-aborts.ts`;
 * 3. an option `isCancellation`, of this scope or of an ancestor, accepts it;
 * 4. it is an AggregateError or a SuppressedError that consists of such errors only.
 *
 * @param broken - Receives the exceptions of options `isCancellation`. In that case the rejection is a failure, and the
 * caller records these exceptions after it.
 */
export function isCancellation(node: ScopeNode, error: unknown, broken: unknown[]): boolean {
  const { reason } = node;
  if (error === reason || hasCause(error, reason) || isForeignAbort(error)) return true;
  if (!isUnderIsCancellation(node))
    return consistsOf(error, (part) => part === reason || hasCause(part, reason) || isForeignAbort(part));
  if (anyOptionAccepts(node, error, broken)) return true;
  const isOne = (part: unknown): boolean =>
    part === reason || hasCause(part, reason) || isForeignAbort(part) || anyOptionAccepts(node, part, broken);
  return broken.length === 0 && consistsOf(error, isOne) && broken.length === 0;
}

function hasCause(error: unknown, reason: CancelledError | undefined): boolean {
  let at = error;
  for (let depth = 0; depth < MAX_CAUSES && isObjectLike(at); depth++) {
    at = read(at, "cause");
    if (at === reason) return true;
  }
  return false;
}

/** Calls the options `isCancellation` from `node` up to the root, until one returns true. */
function anyOptionAccepts(node: ScopeNode, error: unknown, broken: unknown[]): boolean {
  const reason = node.reason as CancelledError;
  for (let at: ScopeNode | undefined = node; at !== undefined; at = at.parent) {
    const isCancellation = at.extras?.settings?.isCancellation;
    if (isCancellation === undefined) continue;
    try {
      const verdict: unknown = isCancellation(error, reason);
      if (verdict === true) return true;
      if (verdict !== false) throw notBoolean(verdict);
    } catch (thrown) {
      broken.push(thrown);
      return false;
    }
  }
  return false;
}

function notBoolean(verdict: unknown): TypeError {
  const hint = verdict instanceof Promise ? " (it can't be async: it is called while the scope settles)" : "";
  return new TypeError(`isCancellation must return a boolean, got ${describe(verdict)}${hint}`);
}

/**
 * Like {@link isCancellation}, for code that can't record a failure in `node`. The exceptions of options
 * `isCancellation` go to the nearest `onError`.
 */
export function isCancellationOf(node: ScopeNode, error: unknown): boolean {
  const broken: unknown[] = [];
  const result = isCancellation(node, error, broken);
  for (const thrown of broken) report(node, thrown, node);
  return result;
}
