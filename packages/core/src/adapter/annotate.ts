import { checkType, requireFunction, requireType } from "../errors/validate.js";
import { setAnnotator, type Annotator } from "../kernel/annotations.js";
import type { Scope } from "../kernel/scope.js";
import { isClosed } from "../kernel/state.js";
import { nodeOf } from "../task/node-of.js";

/**
 * Adds a short note about `scope` to snapshots, to `formatTree`, and to the report of stuck tasks. For authors of
 * integrations: "waiting for host/4711" says more about a call than the name of its worker.
 *
 * `annotator` is called when a snapshot or a report is made, never otherwise. It must not refer to an owner handle: the
 * scope keeps it until it has settled.
 *
 * @param scope - The scope to describe.
 * @param key - The name of the integration. `Snapshot.annotations` has the data under it. A second call with the same
 *   key replaces the first.
 * @param annotator - Returns the note, or `undefined`. When it is left out, the annotation is removed.
 * @throws {TypeError} If an argument is of the wrong type.
 * @example
 * ```ts
 * await withScope({ name: "call" }, async (scope) => {
 *   annotate(scope, "rpc", () => ({ text: "waiting for db-1", data: { peer: "db-1" } }));
 *   console.log(formatTree(snapshot(scope))); // call  scope · 0 ms · waiting for db-1
 * });
 * ```
 */
export function annotate(scope: Scope, key: string, annotator?: Annotator): void {
  const node = nodeOf("annotate", "scope", scope);
  requireType("annotate", "key", "string", key);
  checkType("annotate", "annotator", "function", annotator);
  if (annotator !== undefined) requireFunction("annotate", "annotator", annotator);
  if (!isClosed(node)) setAnnotator(node, key, annotator);
}
