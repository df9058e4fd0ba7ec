import { classNameOf, isObjectLike } from "../errors/user-values.js";
import { wrongType, requireFunction } from "../errors/validate.js";
import { publishStart } from "../kernel/diagnostics.js";
import { useResource } from "../kernel/defers.js";
import { clearBody, hasDeadlineTimer, initialSelfCleaning, isCancelled } from "../kernel/state.js";
import { workerNesting } from "../kernel/stack-headroom.js";
import type { ScopeNode } from "../kernel/node.js";
import { backgroundNode } from "../kernel/scope-view.js";
import { report } from "../kernel/outcome.js";
import type { Scope } from "../kernel/scope.js";
import { isCancellationOf } from "../kernel/is-cancellation.js";
import { advance } from "../kernel/lifecycle.js";
import { callSite } from "../kernel/call-site.js";
import { updateTimerHold } from "../kernel/tree.js";
import { interrupted, interruptedSteps } from "../kernel/interrupted-steps.js";
import { closeAndWait, closeByOwner, type CloseOptions } from "../task/close.js";
import { Handle, type ScopeHandle } from "../task/handle.js";
import type { ScopeOptions } from "../task/options.js";
import { isScope, nodeOf } from "../task/node-of.js";
import { applyHoldsProcess, checkScopeOptions } from "../task/handle-options.js";
import { linkChild, makeLiveChild } from "../task/child.js";
import { endWhenIdle } from "../task/idle-process.js";
import { watchHandle } from "../task/orphan.js";
import { HandleObject } from "./handle/handle-object.js";
import { createHandle } from "./handle/handle-class.js";

/** The handle that {@link selfCleaning} returns: looks like `T`, and `await using` closes it. */
export type SelfCleaning<T extends object> = T & { [Symbol.asyncDispose](): Promise<void> };

/** `unknown` for types for which `selfCleaning` can make a handle; for other types, a text that says why it can't. */
export type Buildable<T> = [T] extends [never]
  ? unknown
  : [T] extends [PromiseLike<unknown>]
    ? "build must not be async: await first and pass the result to build, or await in a worker"
    : [T] extends [readonly unknown[]]
      ? "build must not return an array"
      : [T] extends [(...args: never[]) => unknown]
        ? "build must not return a function"
        : unknown;

/**
 * Makes an object that runs workers, and stops them when the caller drops it.
 *
 * `build` gets a scope, starts the workers in it, and returns the object they work for: the inner object. The caller
 * gets a handle that looks like the inner object (methods, accessors, fields, `instanceof`) and is the only way to
 * it. The workers know only the inner object. So dropping the handle stops them when it is collected: see
 * `docs/orphans.md`. To stop them at a known time, use `close(handle)` or `await using`.
 *
 * A method runs with `this` = the inner object. A method that returns the inner object (`return this`) returns the
 * handle to the caller. A promise or an iterator that a method returned keeps the handle alive while it is pending.
 * The inner object's own disposal is deferred in the scope: it runs when the workers have stopped. A method costs a
 * few nanoseconds more than without the handle. A function in a field costs a look-up, so prefer a class where that
 * counts.
 *
 * Without a name in the options, the scope has the name of `build`, or of the class of the inner object.
 *
 * **Cancellation:** the scope is a root, or a child of `parent`: then it is cancelled with `parent`, which does not
 * settle before it. When something cancels the scope (`parent`, `signal`, a deadline, a failing worker) the handle
 * remains usable, and its methods operate on an object without workers.
 *
 * **Failure:** an error that `build` throws closes the scope, and is thrown. A failure of a worker that no `close`
 * receives is a failure of `parent`.
 *
 * @param parent - The scope that the new scope belongs to. Default: none, the scope is a root.
 * @param build - Called once, synchronously. It must not store the inner object where the caller's code could find it,
 *   and must not refer to the variable that will hold the handle.
 * @param options - As for `createScope`; `timeout` and `grace` in ms.
 * @returns The handle.
 * @throws {CancelledError} The reason, if the scope starts cancelled, because of `parent` or `options`; `build` is not
 *   called.
 * @throws {ScopeClosedError} If `parent` has ended.
 * @throws {TypeError | RangeError} If an argument is bad. If `build` returns no object, or an object that no handle can
 *   replace: a promise, a function, an array or a scope.
 * @example
 * ```ts
 * class Cache {
 *   readonly #entries = new Map<string, { value: string; expires: number }>();
 *   set(key: string, value: string, ms: number): this {
 *     this.#entries.set(key, { value, expires: Date.now() + ms });
 *     return this;
 *   }
 *   get(key: string): string | undefined {
 *     return this.#entries.get(key)?.value;
 *   }
 *   evict(): void {
 *     for (const [key, { expires }] of this.#entries) if (expires < Date.now()) this.#entries.delete(key);
 *   }
 * }
 * function createCache() {
 *   return selfCleaning((scope) => {
 *     const cache = new Cache();
 *     spawn(scope, async function evictor(scope) {
 *       for (;;) {
 *         await sleep(scope, 60_000);
 *         cache.evict();
 *       }
 *     });
 *     return cache;
 *   });
 * }
 * const cache = createCache().set("a", "1", 1_000); // dropped: the evictor stops
 * console.log(cache.get("a"), cache instanceof Cache); // 1 true
 * await close(cache); // or now, and awaited
 * ```
 */
export function selfCleaning<T extends object>(
  build: ((scope: Scope) => T) & Buildable<T>,
  options?: ScopeOptions,
): SelfCleaning<T>;
export function selfCleaning<T extends object>(
  parent: Scope,
  build: ((scope: Scope) => T) & Buildable<T>,
  options?: ScopeOptions,
): SelfCleaning<T>;
export function selfCleaning(...given: readonly unknown[]): object {
  const hasParent = typeof given[0] !== "function" && (isScope(given[0]) || typeof given[1] === "function");
  const parent = hasParent ? nodeOf("selfCleaning", "parent", given[0] as Scope) : backgroundNode;
  const build = given[hasParent ? 1 : 0];
  const options = given[hasParent ? 2 : 1] as ScopeOptions | undefined;
  requireFunction("selfCleaning", "build", build);
  if (options !== undefined) checkScopeOptions("selfCleaning", options);
  return construct(parent, build as (scope: Scope) => object, options, callSite(selfCleaning));
}

function construct(
  parent: ScopeNode,
  build: (scope: Scope) => object,
  options: ScopeOptions | undefined,
  site: string | undefined,
): object {
  const node = makeLiveChild("selfCleaning", parent, options?.name ?? build, initialSelfCleaning);
  endWhenIdle();
  applyHoldsProcess(node, options);
  linkChild(node, options, site);
  node.dropWorker(); // the closure of `build` would live as long as the scope
  let handle: object;
  workerNesting.depth += 1;
  try {
    if (isCancelled(node)) throw node.reason as unknown;
    const stores = publishStart(node, "selfCleaning");
    const inner = stores === undefined ? build(node) : stores.run(build, node);
    checkInner(node, inner);
    if (node.label === "anonymous") node.label = classNameOf(inner) ?? node.label;
    if (isDisposable(inner)) useResource(node, inner, site);
    handle = createHandle(inner, node, build);
  } catch (error) {
    try {
      buildThrew(node, error);
    } catch {
      interruptedSteps[interruptedSteps.length] = buildThrew;
      interruptedSteps[interruptedSteps.length] = node;
      interruptedSteps[interruptedSteps.length] = error;
      interrupted.wake(undefined);
    }
    throw error;
  } finally {
    workerNesting.depth -= 1;
  }
  bodyDone(node);
  watchHandle(handle, node, options?.onOrphan, true);
  return handle;
}

/**
 * Closes an owner handle: cancels its scope (kind `"closed"`) and waits until the workers have stopped and the cleanups have
 * run.
 *
 * It is for handles of {@link selfCleaning}, which have no `close` method of bough. It also accepts every handle of a
 * scope, and then does the same as the handle's own `close()`.
 *
 * @param handle - What `selfCleaning`, `createScope` or `serverScope` returned.
 * @param options - The `cause`, and `grace` in ms.
 * @throws The first failure of its scope (as a rejection).
 * @throws {StuckTasksError} When the scope's grace period runs out (as a rejection).
 * @throws {TypeError | RangeError} If `handle` is anything else, or an option is bad (as a rejection).
 * @example
 * ```ts
 * const log = selfCleaning((scope) => {
 *   const lines: string[] = [];
 *   scope.defer(() => console.log("flushed", lines.length)); // flushed 1
 *   return { write: (line: string) => void lines.push(line) };
 * });
 * log.write("hello");
 * await close(log);
 * ```
 */
export async function close(handle: AsyncDisposable, options?: CloseOptions): Promise<void> {
  const node = HandleObject.nodeOf(handle);
  if (node !== undefined) return closeAndWait(node, "close", handle, options, close);
  if (Handle.nodeOf(handle) !== undefined) return (handle as ScopeHandle).close(options);
  const isView = isScope(handle) && nodeOf("close", "handle", handle) !== undefined;
  const hint = isView ? " (only the owner of a scope closes it; cancel() stops it from inside)" : "";
  throw wrongType("close", "handle must come from selfCleaning() or createScope()", handle, hint);
}

function buildThrew(node: ScopeNode, error: unknown): void {
  closeByOwner(node, error);
  bodyDone(node);
}

/** While `build` runs, the scope can't settle: its workers may fail at once. */
function bodyDone(node: ScopeNode): void {
  clearBody(node);
  if (hasDeadlineTimer(node)) updateTimerHold(node);
  advance(node);
}

function checkInner(node: ScopeNode, inner: unknown): asserts inner is object {
  if (inner instanceof Promise) watchAbandoned(node, inner);
  const isObject = isObjectLike(inner);
  if (isObject && !("then" in inner) && !Array.isArray(inner) && !ArrayBuffer.isView(inner) && inner !== node)
    return;
  const hint =
    inner instanceof Promise
      ? " (it can't be async: await first and pass the result to build, or await in a worker)"
      : isObject && "then" in inner
        ? " with a then method, which await would call (return an object that holds it)"
        : "";
  throw wrongType("selfCleaning", "build must return an object with methods or fields", inner, hint);
}

/** The promise of an async `build`: no caller will await it. */
function watchAbandoned(node: ScopeNode, promise: Promise<unknown>): void {
  promise.catch((error: unknown) => {
    if (!isCancellationOf(node, error)) report(node, error, node);
  });
}

function isDisposable(inner: object): inner is AsyncDisposable {
  return Symbol.asyncDispose in inner || Symbol.dispose in inner;
}
