import type { CancelledError } from "../errors/cancelled.js";
import type { ScopeNode } from "./node.js";

/**
 * What runs when a scope is cancelled: an entry of the doubly linked list `node.hooks`, so that adding and
 * removing one costs the same however many there are (an AbortSignal scans its listeners for duplicates).
 *
 * A primitive that waits, as `sleep` does, subclasses it and is then one object: hook, timer and promise
 * together.
 */
export abstract class Hook {
  next: Hook | undefined = undefined;
  /** The first one's is the last of the list. Refers to itself until it is added, to nothing when it is off. */
  previous: Hook | undefined = this;

  /** Runs at most once. May throw: then its scope has failed. */
  abstract run(reason: CancelledError): void;

  /** Its node has ended without ever having been cancelled. */
  ended(): void {}
}

/** The public `onCancel`. */
export class CallbackHook extends Hook {
  readonly #callback: (reason: CancelledError) => void;

  constructor(callback: (reason: CancelledError) => void) {
    super();
    this.#callback = callback;
  }

  run(reason: CancelledError): void {
    const callback = this.#callback;
    callback(reason);
  }
}

/** Appends; hooks run in the order they were added. The node must not be cancelled. */
export function addHook(node: ScopeNode, hook: Hook): void {
  const first = node.hooks;
  if (first === undefined) {
    hook.previous = hook;
    node.hooks = hook;
    return;
  }
  const last = first.previous as Hook;
  last.next = hook;
  hook.previous = last;
  first.previous = hook;
}

/** Takes a hook off. Says whether that prevented its run. */
export function removeHook(node: ScopeNode, hook: Hook): boolean {
  const { next, previous } = hook;
  if (previous === undefined) return false;
  hook.next = hook.previous = undefined;
  const first = node.hooks;
  if (first === undefined) return true; // the node has settled and dropped its list
  if (hook === first) node.hooks = next;
  else previous.next = next;
  if (next !== undefined) next.previous = previous;
  else if (hook !== first) first.previous = previous;
  return true;
}

/** Drops the hooks of a node that has ended: what still waits there is told. */
export function dropHooks(node: ScopeNode): void {
  for (let hook = node.hooks; hook !== undefined; hook = node.hooks) {
    hook.ended(); // may take itself off
    if (node.hooks !== hook) continue;
    node.hooks = hook.next; // without a word to the hook: taking it off later prevents its run
    if (hook.next !== undefined) hook.next.previous = hook.previous;
    hook.next = undefined;
  }
}

/** Takes the first hook off, if the node has one: how a cancellation empties the list. */
export function takeHook(node: ScopeNode): Hook | undefined {
  const hook = node.hooks;
  if (hook === undefined) return undefined;
  const next = hook.next;
  node.hooks = next;
  if (next !== undefined) {
    next.previous = hook.previous;
    hook.next = undefined;
  }
  hook.previous = undefined;
  return hook;
}
