import { BoughError } from "../errors/bough-error.js";
import { describe } from "../errors/describe.js";
import { isObject } from "../errors/suppressed.js";
import { ScopeClosedError } from "../errors/scope-errors.js";
import { BACKGROUND, CLOSED } from "./state.js";
import type { ScopeNode } from "./node.js";
import { ignore, overflow } from "./promised.js";

/**
 * A cleanup behind a gate. The promise reaction is made when the cleanup is deferred, so that it runs in the
 * async context (AsyncLocalStorage) of that moment, without a `node:` module and without a tax on others.
 */
export interface Defer {
  readonly open: () => void;
  readonly done: Promise<unknown>;
  readonly earlier: Defer | undefined;
}

export function defer(node: ScopeNode, operation: string, cleanup: () => unknown): void {
  if ((node.flags & CLOSED) !== 0) throw new ScopeClosedError(operation, node.path);
  if ((node.flags & BACKGROUND) !== 0) {
    throw new BoughError(
      "BOUGH_BACKGROUND",
      `${operation}: the background never ends, so its cleanup would never run`,
    );
  }
  let open: (() => void) | undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  if (open === undefined) {
    gate.then(undefined, ignore);
    throw new RangeError(overflow);
  }
  const rare = node.rare();
  rare.defers = { open, done: gate.then(() => cleanup()), earlier: rare.defers };
}

/** Runs the defers of `node`, last in first out, those included that a defer adds; then `onDone`. */
export function runDefers(node: ScopeNode, onFailure: (error: unknown) => void, onDone: () => void): void {
  const rare = node.rare();
  const last = rare.defers;
  if (last === undefined) return onDone();
  last.done.then(
    () => runDefers(node, onFailure, onDone),
    (error: unknown) => {
      onFailure(error);
      runDefers(node, onFailure, onDone);
    },
  );
  rare.defers = last.earlier; // not before somebody waits for it: there may have been no room for that
  last.open();
}

/** How `use` disposes of a resource: looked up now, as `await using` does, so that a bad one is found now. */
export function disposerOf(resource: unknown): () => unknown {
  if (isObject(resource)) {
    const dispose: unknown =
      Reflect.get(resource, Symbol.asyncDispose) ?? Reflect.get(resource, Symbol.dispose);
    if (typeof dispose === "function") return () => Reflect.apply(dispose, resource, []);
  }
  const message = `use: resource must have a [Symbol.asyncDispose] or [Symbol.dispose] method, got ${describe(resource)}`;
  throw new TypeError(message);
}
