import { turn } from "../kernel/platform.js";
import { COLLECTIONS } from "./constants.js";
import { collectedHandleCount } from "./orphan.js";

/** Collects all garbage with `collect`, and waits until the finalizers of the collected handles have run. */
export async function collectWith(collect: () => void): Promise<void> {
  for (let round = 0; round < COLLECTIONS; round++) {
    await turn(); // an object whose WeakRef was read lives until the end of the job
    collect();
    // Registries have a turn each.
    for (let before = -1; before !== collectedHandleCount();) {
      before = collectedHandleCount();
      await turn();
    }
  }
}

interface Host {
  readonly gc?: () => void;
  readonly Bun?: { gc(force: boolean): void };
  readonly process?: { getBuiltinModule?: (name: string) => unknown };
}

/**
 * Finds a function that collects all garbage synchronously. In Node the flag for it can be set at run time. `undefined` if the
 * engine can't be made to collect.
 */
export function findCollector(): (() => void) | undefined {
  const { gc, Bun, process } = globalThis as Host;
  if (typeof Bun?.gc === "function") return () => Bun.gc(true);
  if (typeof gc === "function") return gc;
  try {
    const v8 = process?.getBuiltinModule?.("node:v8") as
      { setFlagsFromString(flags: string): void } | undefined;
    const vm = process?.getBuiltinModule?.("node:vm") as
      { runInNewContext(code: string): unknown } | undefined;
    v8?.setFlagsFromString("--expose-gc");
    return vm?.runInNewContext("globalThis.gc") as (() => void) | undefined;
  } catch {
    return undefined;
  }
}
