import {
  abandonBody,
  closeUnlinked,
  hasStoppedDaemons,
  isDaemon,
  isLimited,
  isTask,
  takeSlot,
  waitForSlot,
} from "../kernel/state.js";
import type { ConcurrencyLimit, ScopeNode } from "../kernel/node.js";
import { createPromised } from "../kernel/promised.js";
import { cancel, resume } from "../kernel/lifecycle.js";
import type { ScopeKind } from "../kernel/scope-kind.js";
import { link, recount } from "../kernel/tree.js";
import { interrupted } from "../kernel/interrupted-steps.js";
import { applyOptions, type ScopeOptions, type TaskOptions } from "./options.js";
import { begin, type Worker } from "./run.js";

/**
 * Adds a new node to the tree, with its options. Every node is added here. The caller has called `checkHeadroom` and
 * `admits` and has made the node; if the node has a worker, the caller calls {@link begin} next. An exception is thrown
 * before the worker is called, and the node is removed again by {@link giveUp}.
 *
 * @param site - Where the user called the function that starts it; see `callSite`.
 * @param worker - Of a task that may have to wait for a slot of its parent's `concurrency`; it begins when it has one.
 */
export function addChild(
  node: ScopeNode,
  options: (ScopeOptions & TaskOptions) | undefined,
  site: string | undefined,
  worker?: Worker<unknown>,
): void {
  const parent = node.parent as ScopeNode;
  try {
    if (site !== undefined) node.ensureExtras().site = site;
    link(parent, node);
    if (isLimited(parent) && isTask(node)) {
      const { limit } = parent.ensureSettings();
      if (limit?.tryTake() === false && worker !== undefined) enqueue(limit, node, worker);
    }
    if (options !== undefined) applyOptions(node, options);
    // A daemon that is started after the other daemons were stopped: nothing else is left to do.
    if (isDaemon(node) && hasStoppedDaemons(parent)) cancel(node, "closed", undefined);
  } catch (error) {
    try {
      giveUp(node, error); // at once: its slot is free when the caller gets the error
    } catch {
      const { steps } = interrupted;
      steps[steps.length] = giveUp;
      steps[steps.length] = node;
      steps[steps.length] = error;
      interrupted.wake?.(undefined);
      interrupted.wake = undefined;
    }
    throw error;
  }
}

/**
 * {@link addChild}, and then {@link begin}, guarded. Where workers nest deeply that is written out: it takes a frame of
 * the stack at each level.
 */
export function startChild(
  node: ScopeNode,
  options: (ScopeOptions & TaskOptions) | undefined,
  site: string | undefined,
  worker: Worker<unknown>,
  kind?: ScopeKind,
): void {
  addChild(node, options, site, worker);
  try {
    begin(node, worker, kind);
  } catch (error) {
    const { steps } = interrupted;
    steps[steps.length] = giveUp;
    steps[steps.length] = node;
    steps[steps.length] = error;
    interrupted.wake?.(undefined);
    interrupted.wake = undefined;
    throw error;
  }
}

/** The gate's reaction is made now, so that the worker runs in the async context of its `spawn`. */
function enqueue(limit: ConcurrencyLimit, node: ScopeNode, worker: Worker<unknown>): void {
  const gate = createPromised();
  waitForSlot(node);
  void gate.promise.then(() => {
    takeSlot(node);
    begin(node, worker);
  });
  limit.enqueue(node, gate.resolve as () => void);
}

/** Ends a node whose start was interrupted, by an exception that its caller has got, and nothing else. */
export function giveUp(node: ScopeNode, error: unknown): void {
  if (node.previous === undefined) return closeUnlinked(node); // it was not linked
  node.observer = undefined;
  abandonBody(node);
  recount(node.parent as ScopeNode);
  if (!cancel(node, "closed", error)) resume(node, undefined);
}
