import { refuseOptions, requireFunction } from "../errors/validate.js";
import { run, suspend, type Operation, type Task } from "effection";
import { defer } from "../kernel/defers.js";
import type { ScopeNode } from "../kernel/node.js";
import { rejectBeforeStart } from "../kernel/throttled-results.js";
import type { Scope } from "../kernel/scope.js";
import { fail } from "../kernel/lifecycle.js";
import { callSite } from "../kernel/call-site.js";
import { boughScope } from "./run-operation.js";
import { nodeOf } from "../task/node-of.js";
import { enterScope } from "../task/with-scope.js";

/**
 * Runs an Effection resource, or any other operation, in a bough scope, and resolves with its value. Its resources and
 * the tasks that it has spawned live until `scope` ends.
 *
 * They are torn down like a resource of `scope.use`: after the children of `scope` have settled, and in order with
 * the other cleanups. `scope` waits for that.
 *
 * **Cancellation:** if `scope` is cancelled before the operation has its value, the operation is halted, and the promise
 * rejects with the reason when it is torn down.
 *
 * **Failure:** if the operation fails before it has its value, only the caller receives the error. A later error, of a task that
 * still runs or of the tear-down, is a failure of `scope`. The errors are the same objects as in Effection.
 *
 * @param scope - The owner.
 * @param operation - Makes the operation. Called once.
 * @returns The value of the operation.
 * @throws {CancelledError} (as a rejection) The reason of `scope`.
 * @throws {ScopeClosedError} (as a rejection) If `scope` has ended.
 * @throws {TypeError} (as a rejection) If an argument is of the wrong type. Nothing was started.
 * @example
 * ```ts
 * import { withScope } from "bough";
 * import { useOperation } from "bough/effection";
 * import { resource, type Operation } from "effection";
 *
 * function useConnection(): Operation<string> {
 *   return resource(function* (provide) {
 *     try {
 *       yield* provide("connected");
 *     } finally {
 *       console.log("disconnected");
 *     }
 *   });
 * }
 *
 * await withScope(async (scope) => {
 *   console.log(await useOperation(scope, useConnection)); // connected
 * }); // disconnected
 * ```
 */
export function useOperation<T>(scope: Scope, operation: () => Operation<T>): Promise<T>;
export function useOperation<T>(scope: Scope, operation: () => Operation<T>, extra?: unknown): Promise<T> {
  try {
    refuseOptions("useOperation", extra);
    return begin(scope, operation, callSite(useOperation));
  } catch (error) {
    return rejectBeforeStart(error);
  }
}

function begin<T>(scope: Scope, operation: () => Operation<T>, site: string | undefined): Promise<T> {
  const node = nodeOf("useOperation", "scope", scope);
  requireFunction("useOperation", "operation", operation);
  const name = operation.name === "" ? "useOperation" : operation.name;
  const body = async (own: Scope): Promise<T> => {
    const ongoing = new OngoingOperation(node, operation);
    own.onCancel(() => void ongoing.halt().catch(() => undefined)); // awaited below
    try {
      const value = await ongoing.value;
      defer(node, "useOperation", () => ongoing.halt(), operation, site);
      return value;
    } catch (error) {
      await ongoing.halt();
      throw own.reason ?? error;
    }
  };
  return enterScope("withScope", node, { name }, body, site);
}

/** An operation that stays active after it has its value. */
class OngoingOperation<T> {
  readonly value: Promise<T>;
  readonly #task: Task<void>;
  #halted: Promise<void> | undefined;

  constructor(node: ScopeNode, operation: () => Operation<T>) {
    let ready = false;
    let resolve!: (value: T) => void;
    let reject!: (error: unknown) => void;
    this.value = new Promise<T>((res, rej) => {
      resolve = res;
      reject = rej;
    });
    const isHalted = (): boolean => this.#halted !== undefined;
    this.#task = run(function* () {
      yield* boughScope.set(node);
      const value = yield* operation();
      // A halted operation that waited in a `finally` continues here: `yield*` forgets that the generator was returning.
      if (isHalted()) return;
      ready = true;
      resolve(value);
      yield* suspend();
    });
    this.#task.catch((error: unknown) => {
      if (!ready) reject(error);
      else if (!isHalted()) fail(node, error);
    });
  }

  halt(): Promise<void> {
    // Effection starts to halt only when the `then` of the result is called.
    this.#halted ??= new Promise((resolve, reject) => {
      this.#task.halt().then(resolve, reject);
    });
    return this.#halted;
  }
}
