import { isClosed, isCutShort, markDelivered } from "../kernel/state.js";
import { statusOf } from "../kernel/status.js";
import type { ScopeNode } from "../kernel/node.js";
import { createPromised, type Promised } from "../kernel/promised.js";
import { markHandled, refuse } from "../kernel/refusal.js";
import { cancel } from "../kernel/lifecycle.js";
import { firstError } from "../kernel/outcome.js";
import type { TaskStatus } from "../errors/scope-errors.js";

/**
 * A running worker, as its spawner sees it: a promise for the worker's value that can be cancelled. Dropping
 * it cancels nothing; it belongs to its scope.
 *
 * It rejects with the first failure of its scope, or with the reason when it was cancelled. A task that
 * nobody awaits causes no unhandled rejection of its own: its failure is its scope's.
 */
export interface Task<T> extends Promise<T> {
  /** As given, else the worker's function name, else `"anonymous"`. */
  readonly name: string;
  /** The names from the root, joined by `/`. */
  readonly path: string;
  /** `queued` and `running` are alive; `succeeded`, `failed` and `cancelled` are final. */
  readonly status: TaskStatus;
  /**
   * Cancels this task and everything below it, and nothing else.
   *
   * @returns `true` for the call that cancelled it.
   */
  cancel(cause?: unknown): boolean;
}

/**
 * A real thenable, with a real promise behind it that is made only once somebody asks: most tasks are awaited
 * through their scope, and a promise with its resolvers costs more than all the rest of a task.
 */
export class NodeTask<T> implements Task<T> {
  readonly #node: ScopeNode;

  constructor(node: ScopeNode) {
    this.#node = node;
  }

  /** Not by `instanceof`: what a selfCleaning method returns a task as is a proxy, and has nothing inside. */
  static isTask(value: object): value is NodeTask<unknown> {
    return #node in value;
  }

  /**
   * The promise for the outcome, for one who may look away before it comes: it makes nobody a receiver of the task's
   * failures unless `isReceiver` says so when it settles.
   */
  static watch<T>(task: NodeTask<T>, isReceiver: () => boolean): Promise<T> {
    const node = task.#node;
    if (isClosed(node)) return outcome(node);
    node.observer ??= { ...createPromised<T>(), isReceiver };
    return (node.observer as Promised<T>).promise;
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

  // eslint-disable-next-line unicorn/no-thenable -- being a thenable is what a task is for
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    const settled = outcome<T>(this.#node);
    const derived = settled.then(onFulfilled, onRejected);
    if (typeof onRejected !== "function") {
      settled.then(undefined, () => {
        if (wasCancelled(this.#node)) markHandled(derived);
      });
    }
    return derived;
  }

  catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return outcome<T>(this.#node).catch(onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<T> {
    const node = this.#node;
    const settled = outcome<T>(node);
    const ignore = (): void => {
      if (wasCancelled(node)) markHandled(derived);
    };
    const derived: Promise<T> = settled.finally((): unknown => {
      if (typeof onFinally !== "function") return ignore();
      return Promise.resolve(onFinally() as unknown).then(ignore); // what it throws is news
    });
    return derived;
  }
}

/** Whether a task that has settled rejects only because it was cancelled: then nobody has to await it. */
function wasCancelled(node: ScopeNode): boolean {
  return isCutShort(node) && node.extras?.errors === undefined;
}

/** The promise for the outcome of `node`. A caller that asks for it receives its failures. */
function outcome<T>(node: ScopeNode): Promise<T> {
  if (!isClosed(node)) {
    if (node.observer?.isReceiver !== undefined) {
      const { promise, resolve, reject } = node.observer as Promised<T>;
      node.observer = { promise, resolve, reject };
    }
    node.observer ??= createPromised<T>();
    return (node.observer as Promised<T>).promise;
  }
  markDelivered(node);
  if (node.extras?.errors !== undefined) return refuse(firstError(node));
  if (isCutShort(node)) return refuse(node.reason);
  return Promise.resolve(node.value as T);
}
