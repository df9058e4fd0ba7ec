import { firstError } from "../kernel/outcome.js";
import type { ScopeNode } from "../kernel/node.js";
import { workObserver, type Observer } from "../kernel/observer.js";
import { hasRunningBody, isClosed, isCutShort } from "../kernel/state.js";

// A task is awaited through the promise that derives from its worker's (see `follow` in worker.ts), which is there anyway. If
// some code awaits the task while its worker runs, that promise settles with the outcome of the task. If nothing does, it is
// fulfilled with `undefined`, and causes no unhandled rejection.

/** The outcome of a task whose worker has ended while other work in its scope has not. The promise adopts it. */
class LateOutcome implements Observer {
  readonly #node: ScopeNode;
  resolve!: (value: unknown) => void;
  reject!: (error: unknown) => void;

  constructor(node: ScopeNode) {
    this.#node = node;
  }

  // eslint-disable-next-line unicorn/no-thenable -- the engine calls it with the settlers of the promise
  then(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
    const node = this.#node;
    this.resolve = resolve;
    this.reject = reject;
    if (!isClosed(node)) {
      node.observer = this;
      return;
    }
    node.observer = undefined;
    if (node.extras?.errors !== undefined) reject(firstError(node));
    else if (isCutShort(node)) reject(node.reason);
    else resolve(node.value);
  }
}

/**
 * Whether the task is awaited in this way: until its promise has its outcome, which may be a microtask after it has settled.
 * All code that awaits it is then called in the order in which it asked.
 */
export function isAwaitedByWork(node: ScopeNode): boolean {
  const { observer } = node;
  return observer === workObserver || observer instanceof LateOutcome;
}

/** Begins to await the task in this way, if its worker runs and nothing awaits it in another. */
export function awaitByWork(node: ScopeNode): boolean {
  if (node.observer !== undefined) return isAwaitedByWork(node);
  if (!hasRunningBody(node)) return false;
  node.observer = workObserver;
  return true;
}

/** The outcome of a task that is awaited in this way, when its worker has ended. */
export function outcomeAfterWork(node: ScopeNode): unknown {
  if (!isClosed(node)) return new LateOutcome(node);
  node.observer = undefined;
  if (node.extras?.errors !== undefined) throw firstError(node);
  if (isCutShort(node)) throw node.reason as unknown;
  return node.value;
}
