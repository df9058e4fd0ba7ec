import type { CancelledError } from "../errors/cancelled.js";
import type { CancelHook, ScopeNode } from "./node.js";

/**
 * A listener for the cancellation of a scope. It is an entry of the doubly linked list `node.hooks`, so adding and
 * removing one takes constant time. An AbortSignal scans its listeners for duplicates.
 *
 * A primitive that waits, such as `sleep`, subclasses it: hook, timer and promise are then one object.
 */
export abstract class Hook implements CancelHook {
  declare next: CancelHook | undefined;
  /**
   * For the first hook, the last one of the list. The hook itself until it is added; `undefined` once it is removed.
   */
  declare previous: CancelHook | undefined;

  /** As in `ScopeNode`, each field is assigned here only: one that is initialised where it is declared is written twice. */
  constructor() {
    this.next = undefined;
    this.previous = this;
  }

  /** Called at most once, by the cancellation. An exception is a failure of the scope. */
  abstract run(reason: CancelledError): void;

  /** Called if the node has settled without having been cancelled. */
  ended(): void {}
}

/** A callback of the public `onCancel`. */
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
  const last = first.previous as CancelHook;
  last.next = hook;
  hook.previous = last;
  first.previous = hook;
}

/** Removes a hook. Returns whether that prevented its run. */
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

/** Removes the hooks of a node that has settled, and notifies each by `ended`. */
export function dropHooks(node: ScopeNode): void {
  for (let hook = node.hooks; hook !== undefined; hook = node.hooks) {
    hook.ended(); // may remove itself
    if (node.hooks !== hook) continue;
    node.hooks = hook.next; // the hook keeps `previous`: removing it later still returns true
    if (hook.next !== undefined) hook.next.previous = hook.previous;
    hook.next = undefined;
  }
}

/** Removes and returns the first hook: a cancellation empties the list this way. */
export function takeHook(node: ScopeNode): CancelHook | undefined {
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
