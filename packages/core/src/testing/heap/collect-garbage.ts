import { BoughError } from "../../errors/bough-error.js";
import { collectWith, findCollector } from "../../task/forced-collection.js";

let collect: (() => void) | undefined;

/**
 * Collects all garbage, and lets the finalizers of collected objects run, such as those of dropped scope handles.
 * Needs no flag. It takes tens of milliseconds, so it is for tests.
 *
 * An object that the suspended caller still refers to is not garbage, so create the objects to drop in a separate
 * function.
 *
 * @throws {BoughError} If the engine can't be made to collect (as a rejection).
 * @example
 * ```ts
 * const stopped = new Promise<string>((resolve) => {
 *   (() => createScope({ name: "dropped", onOrphan: ({ path }) => resolve(path) }))();
 * });
 * await collectGarbage();
 * console.log(await stopped); // dropped
 * ```
 */
export async function collectGarbage(): Promise<void> {
  collect ??= findCollector();
  if (collect === undefined)
    throw new BoughError(
      "BOUGH_NO_GC",
      "collectGarbage: this engine has no gc(); run the test with Node, Deno or Bun",
    );
  await collectWith(collect);
}
