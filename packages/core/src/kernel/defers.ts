import { BoughError } from "../errors/bough-error.js";
import { classNameOf, isObject, readName } from "../errors/user-values.js";
import { closedError } from "./closed-error.js";
import { wrongType, requireFunction } from "../errors/validate.js";
import { isBackground, isClosed } from "./state.js";
import type { Defer, ScopeNode } from "./node.js";
import { overflow } from "./promise-settlers.js";
import { ignore } from "./observer.js";

/**
 * Adds a cleanup that runs when its gate, a promise, is resolved. The promise reaction is created now, so that the
 * cleanup runs in the async context (AsyncLocalStorage) of this call. This needs no `node:` module, and code that
 * defers nothing pays nothing.
 *
 * @param label - What reports call the cleanup; read when a report is created.
 * @param site - The call site of the public function; see `callSite`.
 */
export function defer(
  node: ScopeNode,
  operation: string,
  cleanup: () => unknown,
  label: object | string,
  site?: string,
): void {
  if (isClosed(node)) throw closedError(operation, node);
  if (isBackground(node)) {
    throw new BoughError(
      "BOUGH_BACKGROUND",
      `${operation}: the background never ends; pass a scope that does`,
    );
  }
  let open: (() => void) | undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  if (open === undefined) {
    gate.then(undefined, ignore);
    throw new RangeError(overflow);
  }
  const extras = node.ensureExtras();
  extras.defers = { open, done: gate.then(() => cleanup()), earlier: extras.defers, label, site };
}

/** Implements `scope.defer`; `site` is its call site. */
export function deferCleanup(node: ScopeNode, cleanup: () => unknown, site: string | undefined): void {
  requireFunction("defer", "cleanup", cleanup);
  defer(node, "defer", cleanup, cleanup, site);
}

/** Implements `scope.use`; `site` is its call site. */
export function useResource<R extends object>(node: ScopeNode, resource: R, site: string | undefined): R {
  defer(node, "use", disposerOf(resource), resource, site);
  return resource;
}

/**
 * Runs the defers of `node`, last in first out, including those that a defer adds. Then calls `onDone`. Both functions get the
 * node, so that no closure is made for each scope.
 */
export function runDefers(
  node: ScopeNode,
  onFailure: (node: ScopeNode, error: unknown) => void,
  onDone: (node: ScopeNode) => void,
): void {
  const extras = node.ensureExtras();
  const last = extras.defers;
  if (last === undefined) {
    extras.cleaning = undefined;
    return onDone(node);
  }
  last.done.then(
    () => runDefers(node, onFailure, onDone),
    (error: unknown) => {
      onFailure(node, error);
      runDefers(node, onFailure, onDone);
    },
  );
  extras.defers = last.earlier; // only now: `then` may have thrown for lack of stack
  extras.cleaning = last;
  last.open();
}

/** The name of a cleanup: the name of its function, or of the class of its resource. */
export function cleanupName({ label }: Defer): string | undefined {
  if (typeof label === "object") return classNameOf(label);
  return (typeof label === "string" ? label : readName(label)) || undefined;
}

/**
 * Returns the function that disposes of a resource. Looked up now, as `await using` does, so that a wrong argument
 * throws now.
 */
function disposerOf(resource: unknown): () => unknown {
  if (isObject(resource)) {
    const dispose: unknown =
      Reflect.get(resource, Symbol.asyncDispose) ?? Reflect.get(resource, Symbol.dispose);
    if (typeof dispose === "function") return () => Reflect.apply(dispose, resource, []);
  }
  throw wrongType("use", "resource must have a [Symbol.asyncDispose] or [Symbol.dispose] method", resource);
}
