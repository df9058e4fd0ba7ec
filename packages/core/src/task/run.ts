import { isThenable } from "../errors/describe.js";
import { beginBody, canBegin, hasRunningBody } from "../kernel/state.js";
import { opening } from "../kernel/diagnostics.js";
import type { ScopeKind } from "../kernel/scope-kind.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { bodyReturned, bodyThrew, bodyThrewAgain } from "../kernel/lifecycle.js";
import { interrupted } from "../kernel/interrupted-steps.js";
import { nesting } from "../kernel/headroom.js";
import { isRoutine, runRoutine, type Routine } from "./routine.js";

/**
 * What `spawn` and `withScope` run: any function. It gets the view of its own scope. An async function, a plain
 * function, or, once `bough/effection` has been imported, a generator function, whose generator runs as an Effection operation.
 */
export type Worker<T> = (scope: Scope) => T | PromiseLike<T> | Routine<T>;

/**
 * Calls `worker`, synchronously, and follows what it returns. A node that was cancelled before its turn came, or has
 * to wait for it, is left alone. Throws nothing but what keeps it from being called at all.
 *
 * @param kind - Of a scope that is not a task.
 */
export function begin<T>(node: ScopeNode, worker: Worker<T>, kind?: ScopeKind): void {
  if (!canBegin(node)) return;
  beginBody(node);
  let result: unknown = nothing;
  nesting.depth += 1;
  try {
    const stores = opening(node, kind);
    result = stores === undefined ? worker(node) : stores.run(callIn<T>, node, worker);
    workerReturned(node, result);
  } catch (error) {
    // When it was the runtime that had no room, nothing of the worker is lost.
    const finish = result !== nothing && error instanceof RangeError ? workerReturnedAgain : bodyThrewAgain;
    try {
      if (finish === workerReturnedAgain) throw error;
      bodyThrew(node, error);
    } catch {
      const value = finish === workerReturnedAgain ? result : error;
      const { steps } = interrupted;
      steps[steps.length] = finish;
      steps[steps.length] = node;
      steps[steps.length] = value;
      interrupted.wake?.(undefined);
      interrupted.wake = undefined;
    }
  }
  nesting.depth -= 1;
}

const nothing = Symbol("nothing");

function workerReturned(node: ScopeNode, result: unknown): void {
  const promise = promiseOf(node, result);
  if (promise === undefined) bodyReturned(node, result);
  else follow(node, promise);
}

function workerReturnedAgain(node: ScopeNode, result: unknown): void {
  if (!hasRunningBody(node)) return bodyReturned(node, result); // what it returned has been looked at
  try {
    workerReturned(node, result);
  } catch (error) {
    bodyThrewAgain(node, error);
  }
}

/** Calls `worker`; if it is a generator function, runs its operation, too, in the async context of the caller. */
function callIn<T>(node: ScopeNode, worker: Worker<T>): unknown {
  const result = worker(node);
  return isRoutine(result) ? runRoutine(node, result) : result;
}

/** What to wait for; `undefined` if the worker returned a plain value. */
function promiseOf(node: ScopeNode, result: unknown): Promise<unknown> | undefined {
  if (isPromise(result)) return Promise.resolve(result);
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

/** As `await` does: a native promise is asked natively, whatever `then` somebody has put on it. */
function follow(node: ScopeNode, promise: Promise<unknown>): void {
  node.dropWorker(); // what it closes over is not kept while it runs
  void Reflect.apply(nativeThen, promise, [returned.bind(node), threw.bind(node)]);
}

// oxlint-disable-next-line typescript/unbound-method -- applied to promises
export const nativeThen: Promise<unknown>["then"] = Promise.prototype.then;

// Bound rather than closed over `node`: that takes two thirds of the memory, and no more time.
function returned(this: ScopeNode, value: unknown): void {
  bodyReturned(this, value);
}

function threw(this: ScopeNode, error: unknown): void {
  bodyThrew(this, error);
}
