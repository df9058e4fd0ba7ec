import { isThenable } from "../errors/user-values.js";
import { hasRunningBody } from "../kernel/state.js";
import type { ScopeNode } from "../kernel/node.js";
import { isBun } from "../kernel/platform.js";
import { ReusePool } from "../kernel/reuse-pool.js";
import type { Scope } from "../kernel/scope.js";
import { bodyReturned, bodyThrew, resumeBodyThrew } from "../kernel/lifecycle.js";
import { isRoutine, runRoutine, type Routine } from "./routine.js";

/**
 * The function that `spawn` and `withScope` run. It gets its own scope. It can be an async function, a plain function, or, once
 * `bough/effection` has been imported, a generator function, whose generator runs as an Effection operation.
 */
export type Worker<T> = (scope: Scope) => T | PromiseLike<T> | Routine<T>;

/**
 * Called when the worker of `node` has returned. Ends the body when the result settles; immediately for a plain value.
 *
 * @returns The promise whose outcome ends the body; `undefined` if the body has ended.
 */
export function workerReturned(node: ScopeNode, result: unknown): PromiseLike<unknown> | undefined {
  const promise = isPromise(result) ? Promise.resolve(result) : promiseOf(node, result);
  if (promise === undefined) bodyReturned(node, result);
  else follow(node, promise);
  return promise;
}

/** Repeats {@link workerReturned}, which was interrupted. */
export function resumeWorkerReturned(node: ScopeNode, result: unknown): void {
  if (!hasRunningBody(node)) return bodyReturned(node, result); // the result was processed
  try {
    workerReturned(node, result);
  } catch (error) {
    resumeBodyThrew(node, error);
  }
}

/** Calls `worker`. If it is a generator function, also runs its operation, in the async context of the caller. */
export function callWorker<T>(node: ScopeNode, worker: Worker<T>): unknown {
  const result = worker(node);
  return isRoutine(result) ? runRoutine(node, result) : result;
}

/** The promise of a result that is not a promise; `undefined` if it is a plain value. */
function promiseOf(node: ScopeNode, result: unknown): Promise<unknown> | undefined {
  if (isRoutine(result)) return runRoutine(node, result);
  return isThenable(result) ? Promise.resolve(result) : undefined;
}

/** `instanceof` asks a proxy for its prototype, and the proxy may throw. */
function isPromise(value: unknown): value is Promise<unknown> {
  try {
    return value instanceof Promise;
  } catch {
    return false;
  }
}

/** Follows a promise as `await` does: a native promise gets native reactions, even if its `then` was replaced. */
function follow(node: ScopeNode, promise: Promise<unknown>): void {
  node.hooks?.previous?.follow?.(promise); // the last hook: often the wait whose promise the worker has returned
  node.dropWorker(); // while it runs, the node does not keep its closure alive
  if (isBun) return followInBun(node, promise);
  // If `promise.then` is the native one, calling it as a method lets the engine inline it.
  // oxlint-disable-next-line typescript/unbound-method -- only its identity matters
  if (promise.then === nativeThen) void promise.then(returned.bind(node), threw.bind(node));
  else void nativeThen.call(promise, returned.bind(node), threw.bind(node));
}

function followInBun(node: ScopeNode, promise: Promise<unknown>): void {
  const reactions = unusedReactions.take() ?? new WorkerReactions();
  reactions.node = node;
  // Not by `promise.then`, which may be a getter: any other function could call back twice.
  void nativeThen.call(promise, reactions.returned, reactions.threw);
}

/** The reactions to the promise of a worker, for one worker after the other. */
class WorkerReactions {
  node: ScopeNode | undefined = undefined;
  readonly returned = (value: unknown): void => bodyReturned(this.release(), value);
  readonly threw = (error: unknown): void => bodyThrew(this.release(), error);

  release(): ScopeNode {
    const node = this.node as ScopeNode;
    this.node = undefined;
    unusedReactions.put(this);
    return node;
  }
}

const unusedReactions = new ReusePool<WorkerReactions>();

// oxlint-disable-next-line typescript/unbound-method -- applied to promises
export const nativeThen: Promise<unknown>["then"] = Promise.prototype.then;

// Bound rather than closed over `node`: that takes two thirds of the memory, and no more time.
function returned(this: ScopeNode, value: unknown): void {
  bodyReturned(this, value);
}

function threw(this: ScopeNode, error: unknown): void {
  bodyThrew(this, error);
}
