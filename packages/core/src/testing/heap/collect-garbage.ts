import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { BoughError } from "../../errors/bough-error.js";
import { collectedHandles } from "../../task/orphan.js";
import { turn } from "../clock/real-time.js";

/** What one collection frees can be what kept the next thing: a finalizer's held value, a weak map's entry. */
const ROUNDS = 3;

type Collect = () => void;

let collect: Collect | undefined;

/**
 * Collects all garbage, and lets the finalizers of what was collected run: those of dropped scope handles, for one.
 * Needs no flag. It takes tens of milliseconds, so it is for tests.
 *
 * What the caller's own suspended frame still mentions is no garbage: make what is to be dropped in a function of
 * its own.
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
  collect ??= findCollect();
  for (let round = 0; round < ROUNDS; round++) {
    await turn(); // an object whose WeakRef was read lives until the end of the job
    collect();
    await finalizers();
  }
}

/** Registries have a turn each. */
async function finalizers(): Promise<void> {
  for (let before = -1; before !== collectedHandles();) {
    before = collectedHandles();
    await turn();
  }
}

function findCollect(): Collect {
  const { gc, Bun } = globalThis as { gc?: Collect; Bun?: { gc: (sync: boolean) => void } };
  if (Bun !== undefined) return () => Bun.gc(true);
  if (typeof gc === "function") return gc;
  setFlagsFromString("--expose-gc");
  const exposed: unknown = runInNewContext("typeof gc === 'function' && gc");
  if (typeof exposed === "function") return exposed as Collect;
  throw new BoughError("BOUGH_NO_GC", "collectGarbage: this engine can't be made to collect garbage");
}
