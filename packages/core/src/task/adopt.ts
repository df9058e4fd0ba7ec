import type { ScopeNode } from "../kernel/node.js";
import { cancel } from "../kernel/settle.js";
import { callSite } from "../kernel/tracing.js";
import { link } from "../kernel/tree.js";
import { applyOptions, type ScopeOptions, type TaskOptions } from "./options.js";

/**
 * Makes a new node a child of its parent and applies its options, which were checked before. If that throws all the
 * same (a signal of somebody's own making, a getter, a timer that is not there), the child is taken back: nothing is
 * half-started.
 *
 * @param api - The public function that was called: while tracing is on, its call site is recorded.
 */
export function adopt(
  node: ScopeNode,
  // oxlint-disable-next-line typescript/no-unsafe-function-type -- only its identity matters
  api: Function,
  options: (ScopeOptions & TaskOptions) | undefined,
): void {
  const site = callSite(api);
  if (site !== undefined) node.rare().site = site;
  link(node.parent as ScopeNode, node);
  if (options === undefined) return;
  try {
    applyOptions(node, options);
  } catch (error) {
    node.observer = undefined; // nobody has got its promise
    cancel(node, "closed", error);
    throw error;
  }
}
