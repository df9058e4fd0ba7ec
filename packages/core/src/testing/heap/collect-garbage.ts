import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { BoughError } from "../../errors/bough-error.js";
import { collectedHandleCount } from "../../task/orphan.js";
import { turn } from "../clock/real-time.js";

/** An object that one collection frees may have kept another alive: a finalizer's held value, a weak map's entry. */
const ROUNDS = 3;

type Collect = () => void;

let collect: Collect | undefined;

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
  collect ??= findCollect();
  for (let round = 0; round < ROUNDS; round++) {
    await turn(); // an object whose WeakRef was read lives until the end of the job
    collect();
    await finalizers();
  }
}

/** Registries have a turn each. */
async function finalizers(): Promise<void> {
  for (let before = -1; before !== collectedHandleCount();) {
    before = collectedHandleCount();
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
  throw new BoughError(
    "BOUGH_NO_GC",
    "collectGarbage: this engine has no gc(); run the test with Node, Deno or Bun",
  );
}
