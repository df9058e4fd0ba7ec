import { isClosed, isCutShort, markDelivered } from "../kernel/state.js";
import { statusOf } from "../kernel/status.js";
import type { ScopeNode } from "../kernel/node.js";
import { ignore, withResolvers, type Observer, type PromiseObserver } from "../kernel/observer.js";
import { markHandled, rejectThrottled } from "../kernel/throttled-results.js";
import { cancel } from "../kernel/lifecycle.js";
import { isBun } from "../kernel/platform.js";
import { ReusePool } from "../kernel/reuse-pool.js";
import { firstError } from "../kernel/outcome.js";
import { nativeThen } from "./worker.js";
import type { TaskStatus } from "../errors/scope-errors.js";

/**
 * A running worker: a promise for the worker's value, with `cancel()`. Dropping the task does not cancel it; it belongs to
 * its scope.
 *
 * It rejects with the first failure of its scope, or with the reason when it was cancelled. A task that is not
 * awaited causes no unhandled rejection by itself: its failure is the failure of its scope.
 */
export interface Task<T> extends Promise<T> {
  /** The option `name`, otherwise the name of the worker's function, otherwise `"anonymous"`. */
  readonly name: string;
  /** The names from the root, joined by `/`. */
  readonly path: string;
  /** `queued` and `running` are alive; `succeeded`, `failed` and `cancelled` are final. */
  readonly status: TaskStatus;
  /**
   * Cancels only this task and everything below it.
   *
   * @returns `true` for the call that cancelled it.
   */
  cancel(cause?: unknown): boolean;
}

/**
 * A thenable. Most tasks are awaited through their scope, and a promise with its settlers costs more than the rest of a
 * task. So `await` reacts to the promise of the worker (see `afterWork`), and the task gets a promise of its own only if that
 * is not enough.
 */
export class NodeTask<T> implements Task<T> {
  readonly #node: ScopeNode;
  /** The result of the worker. The node settles with it, unless other work in its scope takes longer. */
  #work: PromiseLike<unknown> | undefined;

  constructor(node: ScopeNode) {
    this.#node = node;
  }

  /** The promise is stored in the task and not in its node, because code that awaits it may hold an owner handle (rule 19). */
  static setWork<T>(task: NodeTask<T>, work: PromiseLike<unknown> | undefined): void {
    task.#work = work;
  }

  /** Not by `instanceof`: for a task, a selfCleaning method returns a proxy, which has no private fields. */
  static nodeOf(value: object): ScopeNode | undefined {
    return #node in value ? value.#node : undefined;
  }

  get name(): string {
    return this.#node.name;
  }

  get path(): string {
    return this.#node.path;
  }

  get status(): TaskStatus {
    return statusOf(this.#node);
  }

  get [Symbol.toStringTag](): string {
    return "Task";
  }

  cancel(cause?: unknown): boolean {
    // oxlint-disable-next-line typescript/unbound-method -- only its identity matters
    return cancel(this.#node, "explicit", cause, NodeTask.prototype.cancel);
  }

  // eslint-disable-next-line unicorn/no-thenable -- a task is a thenable by design
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    if (typeof onFulfilled === "function" && typeof onRejected === "function")
      return addReaction(this.#node, this.#work, onFulfilled, onRejected);
    return thenWithDefaults(this.#node, this.#work, onFulfilled, onRejected);
  }

  catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.then(undefined, onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<T> {
    if (typeof onFinally !== "function") return this.then(undefined);
    const after = async (): Promise<void> => onFinally();
    const node = this.#node;
    const derived: Promise<T> = this.then(
      (value) => after().then(() => value),
      (reason: unknown) =>
        after().then(() => {
          if (wasCancelled(node)) markHandled(derived);
          throw reason;
        }),
    );
    return derived;
  }
}

/** `then` with one function. A separate function, since the closure would cost every call of `then`. */
function thenWithDefaults<T, A, B>(
  node: ScopeNode,
  work: PromiseLike<unknown> | undefined,
  onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
  onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
): Promise<A | B> {
  const fulfilled = typeof onFulfilled === "function" ? onFulfilled : (value: T) => value as unknown as A;
  if (typeof onRejected === "function") return addReaction(node, work, fulfilled, onRejected);
  const derived = addReaction(node, work, fulfilled, (reason): never => {
    if (wasCancelled(node)) markHandled(derived);
    throw reason;
  });
  return derived;
}

/** Calls one of the functions with the outcome of `node`. All code that awaits a task is called in the order in which it asked. */
function addReaction<T, A, B>(
  node: ScopeNode,
  work: PromiseLike<unknown> | undefined,
  onFulfilled: (value: T) => A | PromiseLike<A>,
  onRejected: (reason: unknown) => B | PromiseLike<B>,
): Promise<A | B> {
  if (work === undefined || isClosed(node) || (node.observer !== undefined && node.observer !== workObserver))
    return outcome<T>(node).then(onFulfilled, onRejected);
  node.observer = workObserver;
  if (isBun) {
    const reaction = reusedReaction(node, onFulfilled, onRejected);
    return nativeThen.call(work, reaction, reaction) as Promise<A | B>; // as in `followInBun`
  }
  const settle = (): A | B | PromiseLike<A | B> => afterWork(node, onFulfilled, onRejected);
  // As in `follow`: the engine knows the receiver where its own `then` is called by name.
  // oxlint-disable-next-line typescript/unbound-method -- only its identity matters
  if (work.then === nativeThen) return work.then(settle, settle) as Promise<A | B>;
  return nativeThen.call(work, settle, settle) as Promise<A | B>;
}

/**
 * The promise for the outcome of a task, for a caller that may lose interest. The caller counts as the receiver of the task's
 * failures only if `isReceiver` returns true when the task settles.
 */
export function watchOutcome(
  task: NodeTask<unknown>,
  node: ScopeNode,
  isReceiver: () => boolean,
): Promise<unknown> {
  if (isClosed(node) || node.observer === workObserver) return task.then(undefined);
  node.observer ??= { ...withResolvers(), isReceiver };
  return (node.observer as PromiseObserver<unknown>).promise;
}

/** The observer of a node whose outcome is taken with that of its worker's promise: see `afterWork`. */
const workObserver: Observer = { resolve: ignore, reject: ignore };

/**
 * Calls back with the outcome of `node`, whose worker's promise has settled. The reaction that ends the body has run before:
 * it was added first.
 */
function afterWork<T, A, B>(
  node: ScopeNode,
  onFulfilled: (value: T) => A | PromiseLike<A>,
  onRejected: (reason: unknown) => B | PromiseLike<B>,
): A | B | PromiseLike<A | B> {
  if (!isClosed(node)) return outcome<T>(node).then(onFulfilled, onRejected);
  if (node.extras?.errors !== undefined) return onRejected(firstError(node));
  if (isCutShort(node)) return onRejected(node.reason);
  return onFulfilled(node.value as T);
}

/** As a closure that calls {@link afterWork}. */
function reusedReaction<T, A, B>(
  node: ScopeNode,
  onFulfilled: (value: T) => A | PromiseLike<A>,
  onRejected: (reason: unknown) => B | PromiseLike<B>,
): () => A | B | PromiseLike<A | B> {
  const reaction = unusedReactions.take() ?? new AwaitReaction();
  reaction.node = node;
  reaction.onFulfilled = onFulfilled as Settler;
  reaction.onRejected = onRejected;
  return reaction.settle as () => A | B | PromiseLike<A | B>;
}

type Settler = (value: unknown) => unknown;

/** The reaction of code that awaits a task, for one task after the other. */
class AwaitReaction {
  node: ScopeNode | undefined = undefined;
  onFulfilled: Settler = ignore;
  onRejected: Settler = ignore;
  readonly settle = (): unknown => {
    const { node, onFulfilled, onRejected } = this;
    this.node = undefined;
    this.onFulfilled = this.onRejected = ignore;
    unusedReactions.put(this);
    return afterWork(node as ScopeNode, onFulfilled, onRejected);
  };
}

const unusedReactions = new ReusePool<AwaitReaction>();

/** Whether a task that has settled rejects only because it was cancelled: then it need not be awaited. */
function wasCancelled(node: ScopeNode): boolean {
  return isCutShort(node) && node.extras?.errors === undefined;
}

/** The promise for the outcome of `node`. A caller that asks for it receives its failures. */
function outcome<T>(node: ScopeNode): Promise<T> {
  if (!isClosed(node)) {
    if (node.observer?.isReceiver !== undefined) {
      const { promise, resolve, reject } = node.observer as PromiseObserver<T>;
      node.observer = { promise, resolve, reject };
    }
    if (node.observer === undefined || node.observer === workObserver) node.observer = withResolvers<T>();
    return (node.observer as PromiseObserver<T>).promise;
  }
  markDelivered(node);
  if (node.extras?.errors !== undefined) return rejectThrottled(firstError(node));
  if (isCutShort(node)) return rejectThrottled(node.reason);
  return Promise.resolve(node.value as T);
}
