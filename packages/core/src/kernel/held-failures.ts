import type { ScopeNode } from "./node.js";
import { beforeProcessEnd } from "./platform.js";
import { isClosed } from "./state.js";

/**
 * Settled nodes whose failures wait for the disposal of their handle (`await using`), each with the function that
 * delivers the failures. A node stays here until its handle is disposed of or collected, or the process is about to
 * end.
 */
const heldFailures = new Map<ScopeNode, (node: ScopeNode) => void>();
let stopWatchingProcessEnd: (() => void) | undefined;

export function holdFailure(node: ScopeNode, deliver: (node: ScopeNode) => void): void {
  heldFailures.set(node, deliver);
  stopWatchingProcessEnd ??= beforeProcessEnd(() => {
    for (const each of heldFailures.keys()) releaseFailure(each);
  });
}

/** Whether `node` has settled, and stays in its parent until its handle is disposed of. */
export function waitsForDisposal(node: ScopeNode): boolean {
  return isClosed(node) && node.previous !== undefined && node.extras?.settings?.holdFailure !== undefined;
}

/** Delivers the failures of `node`. Called when its handle was disposed of, or can't be disposed of any more. */
export function releaseFailure(node: ScopeNode): void {
  const deliver = heldFailures.get(node);
  if (deliver === undefined) return;
  heldFailures.delete(node);
  if (heldFailures.size === 0) {
    stopWatchingProcessEnd?.();
    stopWatchingProcessEnd = undefined;
  }
  deliver(node);
}
