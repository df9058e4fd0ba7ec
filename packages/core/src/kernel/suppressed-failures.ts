import { MAX_SIBLINGS } from "./constants.js";
import { isForeignAbort } from "../errors/foreign-aborts.js";
import { rejectionOf, setRejection, type Rejection } from "../errors/suppressed.js";
import { isObject } from "../errors/user-values.js";
import type { ScopeNode } from "./node.js";
import { afterMicrotasks } from "./platform.js";

/**
 * The latest rejection with an error object: the basis of `suppressed(error)`.
 *
 * A caller has only the error object, and one object can be thrown many times (a constant, a cached rejection). So each
 * rejection replaces the object's list. The list stays only if it is the same failure on its way up the tree: the scope
 * that rejected before is inside the scope that fails now.
 *
 * A scope can also be awaited from outside its parent: by a sibling, or by another tree. The tree does not record which
 * scope awaits which. If unrelated scopes have not thrown the object yet, the time decides: see
 * {@link RejectionSource.mayReach}.
 */
class RejectionSource implements Rejection {
  readonly later: Set<unknown>;
  /** The parent of the scope that rejected. Weak: a logged error must not keep a tree alive. */
  readonly #parent: WeakRef<ScopeNode>;
  /** The next older sibling of the scope that rejected. */
  readonly #older: WeakRef<ScopeNode> | undefined;
  readonly #youngest: WeakRef<ScopeNode> | undefined;
  readonly #youngestRoot: WeakRef<ScopeNode> | undefined;
  readonly #startedAt: number;
  /** True until the microtasks that the rejection has queued have run. */
  #isRecent = true;
  /** Whether unrelated scopes have rejected with this object. */
  readonly shared: boolean;
  /** Whether it is a failure, and not the reason with which a scope was cut short. */
  readonly isFailure: boolean;

  constructor(node: ScopeNode, later: Set<unknown>, shared: boolean) {
    const parent = node.parent as ScopeNode;
    this.later = later;
    this.#parent = new WeakRef(parent);
    this.#startedAt = node.startedAt;
    this.#older = toWeakRef(parent.first === node ? undefined : node.previous);
    this.#youngest = toWeakRef(youngestSibling(node));
    this.#youngestRoot = toWeakRef(youngestSibling(rootOf(node)));
    this.shared = shared;
    this.isFailure = node.extras?.errors !== undefined;
    if (!shared) afterMicrotasks(() => (this.#isRecent = false));
  }

  /** Whether the scope that rejected was inside `node`. `above` caches its ancestors. */
  isInside(node: ScopeNode, above: Set<ScopeNode> = new Set()): boolean {
    const parent = this.#parent.deref();
    if (parent === node) return true;
    if (above.size === 0) for (let at = parent; at !== undefined; at = at.parent) above.add(at);
    return above.has(node);
  }

  /**
   * Whether `node` may have received the rejection by an `await` that the tree does not show:
   *
   * - a root has rejected, and the tree of `node` is older. A cleanup may have taken some time in between;
   * - `node`, a sibling of the scope that rejected or in another tree, fails right after it, and existed at that time.
   */
  mayReach(node: ScopeNode): boolean {
    const parent = this.#parent.deref();
    if (this.shared || parent === undefined) return false;
    const root = rootOf(node);
    if (parent.parent === undefined) {
      if (root.startedAt < this.#startedAt || root === this.#older?.deref()) return true;
    }
    if (!this.#isRecent) return false;
    let branch: ScopeNode | undefined = node;
    while (branch !== undefined && branch.parent !== parent) branch = branch.parent;
    if (branch !== undefined) return isSameOrOlder(branch, this.#youngest?.deref());
    return root !== rootOf(parent) && isSameOrOlder(root, this.#youngestRoot?.deref());
  }
}

function toWeakRef(node: ScopeNode | undefined): WeakRef<ScopeNode> | undefined {
  return node === undefined ? undefined : new WeakRef(node);
}

function rootOf(node: ScopeNode): ScopeNode {
  let root = node;
  while (root.parent?.parent !== undefined) root = root.parent;
  return root;
}

/** The youngest live sibling of `node`. Older siblings precede it in the list. */
function youngestSibling(node: ScopeNode): ScopeNode | undefined {
  const first = node.parent?.first;
  const last = first?.previous;
  if (last !== node) return last;
  return first === node ? undefined : node.previous;
}

/** Whether `node` is `other` or one of the siblings before it. */
function isSameOrOlder(node: ScopeNode, other: ScopeNode | undefined): boolean {
  const first = node.parent?.first;
  let at = other;
  for (let count = 0; count < MAX_SIBLINGS && at !== undefined; count++) {
    if (at === node) return true;
    if (at === first) return false;
    at = at.previous;
  }
  return false;
}

/** Whether any rejection was recorded. A program whose scopes have one failure at a time never looks one up. */
let hasRejections = false;

function latestRejection(error: unknown): RejectionSource | undefined {
  return hasRejections ? (rejectionOf(error) as RejectionSource | undefined) : undefined;
}

/** Called when an error has become the first failure of a scope, for each scope that it reaches, the innermost first. */
export type ContinueRejection = (node: ScopeNode) => void;

/**
 * Returns a function for an error that a scope has rejected with before; `undefined` for most errors. If the failure is the
 * same one, the function lets the scopes that it reaches continue the list of that rejection.
 */
export function earlierRejectionOf(error: unknown): ContinueRejection | undefined {
  const source = latestRejection(error);
  if (source === undefined) return undefined;
  const above = new Set<ScopeNode>();
  let continues = false;
  return (node) => {
    continues ||= error === node.reason || source.isInside(node, above) || source.mayReach(node);
    if (continues) node.ensureSettings().suppressed = source.later;
  };
}

/** Adds `errors`, which did not decide the outcome, to the list of the failure with which `node` will reject. */
export function suppressFailures(node: ScopeNode, errors: readonly unknown[]): void {
  if (errors.length === 0) return;
  const suppressed = (node.ensureSettings().suppressed ??= new Set());
  for (const error of errors) suppressed.add(error);
}

/**
 * Adds `errors` to the list of the reason with which `node` rejects. A reason belongs to one cancellation, so its list
 * only grows.
 */
export function suppressUnderReason(node: ScopeNode, errors: readonly unknown[]): void {
  const reason = node.reason as object;
  if (errors.length > 0) storeRejection(node, reason, rejectionOf(reason)?.later ?? new Set(), errors, false);
}

/**
 * Records that `node` settles with these failures.
 *
 * @param toCaller - Whether the first of them goes to a caller, which may throw it again.
 */
export function recordRejection(node: ScopeNode, errors: Iterable<unknown>, toCaller: boolean): void {
  const [first, ...rest] = errors;
  if (!isObject(first)) return;
  const suppressed = node.extras?.settings?.suppressed;
  const before = latestRejection(first);
  const mustRecord = rest.length > 0 || suppressed !== undefined || (toCaller && isForeignAbort(first));
  if (before === undefined && !mustRecord) return;
  const isShared =
    before !== undefined && (before.shared || (before.later !== suppressed && !before.isInside(node)));
  storeRejection(node, first, suppressed ?? new Set(), rest, isShared);
}

function storeRejection(
  node: ScopeNode,
  error: object,
  later: Set<unknown>,
  errors: readonly unknown[],
  shared: boolean,
): void {
  hasRejections = true;
  for (const each of errors) later.add(each);
  later.delete(error);
  setRejection(error, new RejectionSource(node, later, shared));
}

/** Whether a scope inside `node` has rejected with `error` as its failure: then it is a failure of `node`, too. */
export function hasFailedInside(node: ScopeNode, error: unknown): boolean {
  const source = latestRejection(error);
  return source !== undefined && error !== node.reason && source.isFailure && source.isInside(node);
}
