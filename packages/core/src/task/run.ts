import type { Effect } from "effection";
import { isThenable } from "../errors/describe.js";
import { BODY, CANCELLED, FOLLOWED, QUEUED } from "../kernel/flags.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { bodyReturned, bodyThrew } from "../kernel/settle.js";
import { follow, outcome } from "./outcome.js";
import { isOperation, runOperation } from "./operation.js";

/**
 * What `spawn` and `withScope` run: any function. It gets the view of its own scope. An async function, a plain
 * function, or a generator function, whose generator is run as an Effection operation.
 */
export type Worker<T> = (scope: Scope) => T | PromiseLike<T> | Routine<T>;

/**
 * What a generator function returns: an Effection `Operation` in the one form that is run. (Every iterable has the
 * type `Operation`, so with that the value of a worker that returns a string or an array would be lost on its type.)
 */
export type Routine<T> = Generator<Effect<unknown>, T, unknown>;

/**
 * Calls `worker`, synchronously, and follows what it returns. A node that was cancelled before its turn came is
 * left alone: its worker is never called.
 */
export function begin<T>(node: ScopeNode, worker: Worker<T>): void {
  void beginAndFollow(node, worker);
}

/**
 * As {@link begin}, for those who give somebody the promise for what comes of it.
 *
 * @returns What {@link outcome} makes that of.
 */
export function beginAndFollow<T>(node: ScopeNode, worker: Worker<T>): Promise<unknown> | undefined {
  if ((node.flags & CANCELLED) !== 0) return undefined;
  node.flags = (node.flags & ~QUEUED) | BODY;
  let result: unknown;
  try {
    result = worker(node);
    const promise = promiseOf(node, result);
    if (promise !== undefined) return react(node, promise);
  } catch (error) {
    bodyThrew(node, error);
    return undefined;
  }
  bodyReturned(node, result);
  return undefined;
}

/** Runs `worker` as the body of a node that is no task, and returns the promise for what that comes to. */
export function beginAndWait<T>(node: ScopeNode, worker: Worker<T>): Promise<T> {
  return outcome(node, beginAndFollow(node, worker)) as Promise<T>;
}

/** What to wait for; `undefined` if the worker returned a plain value. */
function promiseOf(node: ScopeNode, result: unknown): Promise<unknown> | undefined {
  if (result instanceof Promise) return Promise.resolve(result);
  if (isOperation(result)) return runOperation(node, result);
  return isThenable(result) ? Promise.resolve(result) : undefined;
}

/** As `await` does: a native promise is asked natively, whatever `then` somebody has put on it. */
function react(node: ScopeNode, promise: Promise<unknown>): Promise<unknown> {
  node.dropWorker(); // what it closes over is not kept while it runs
  node.flags |= FOLLOWED;
  return Reflect.apply(nativeThen, promise, [returned.bind(node), threw.bind(node)]);
}

// oxlint-disable-next-line typescript/unbound-method -- applied to a promise above
const nativeThen = Promise.prototype.then;

// Bound rather than closed over `node`: that takes two thirds of the memory, and no more time.
function returned(this: ScopeNode, value: unknown): unknown {
  this.flags &= ~FOLLOWED;
  bodyReturned(this, value);
  return follow(this, value);
}

function threw(this: ScopeNode, error: unknown): unknown {
  this.flags &= ~FOLLOWED;
  bodyThrew(this, error);
  return follow(this, undefined);
}
