import { hasOnlyUnheldBelow, hasUnheldTimer, startHolding } from "../kernel/process-hold.js";
import type { ScopeNode } from "../kernel/node.js";
import { beforeProcessEnd, turn } from "../kernel/platform.js";
import { backgroundNode } from "../kernel/scope-view.js";
import { isCancelled } from "../kernel/state.js";
import { collectedHandleCount } from "./orphan.js";

/**
 * Whether a process ends although workers of `selfCleaning` objects still wait for timers.
 *
 * An idle process allocates nothing, so nothing is collected, and the worker of an object that was dropped would keep it
 * alive for ever. So the timers of such a scope do not keep the process alive at first. When nothing keeps it alive
 * (`beforeExit`), bough makes the engine collect garbage once: the scopes of dropped objects are cancelled, as at any
 * collection, and their cleanups run. The timers of all others keep the process alive from then on.
 *
 * Where the engine can't be made to collect, nothing counts as dropped.
 */
export function endWhenIdle(): void {
  if (isWatching) return;
  beforeProcessEnd(() => void decide(undecided));
  isWatching = true; // only now: the call may have overflowed the stack
}

let isWatching = false;
let isDeciding = false;

/** An object that one collection frees may have kept the next handle alive, for example as a finalizer's held value. */
const ROUNDS = 3;

/**
 * `main` keeps the process alive until its scope has ended. When the scope has only objects of `selfCleaning` left, those
 * that were dropped are collected now, since nothing else would allocate.
 */
export async function endDroppedBelow(root: ScopeNode): Promise<void> {
  if (isDeciding || !isWatching || !hasOnlyUnheldBelow(root)) return;
  await decide(() => [root]);
}

async function decide(find: () => readonly ScopeNode[]): Promise<void> {
  if (isDeciding) return;
  isDeciding = true;
  try {
    const collect = find().some((node) => !isCancelled(node)) ? findCollect() : undefined;
    for (let round = 0; collect !== undefined && round < ROUNDS; round++) {
      await turn(); // an object whose WeakRef was read lives until the end of the job
      collect();
      for (let before = -1; before !== collectedHandleCount();) {
        before = collectedHandleCount();
        await turn();
      }
    }
    // The cleanups of a cancelled scope must run, even if its handle was dropped.
    for (const node of find()) startHolding(node);
  } finally {
    isDeciding = false;
  }
}

function undecided(): ScopeNode[] {
  const found: ScopeNode[] = [];
  for (let node = backgroundNode.first; node !== undefined; node = node.next)
    if (hasUnheldTimer(node)) found.push(node);
  return found;
}

interface Host {
  readonly gc?: () => void;
  readonly Bun?: { gc(force: boolean): void };
  readonly process?: { getBuiltinModule?: (name: string) => unknown };
}

/** Finds a function that collects all garbage synchronously. In Node the flag for it can be set at run time. */
function findCollect(): (() => void) | undefined {
  const { gc, Bun, process } = globalThis as Host;
  if (typeof Bun?.gc === "function") return () => Bun.gc(true);
  if (typeof gc === "function") return gc;
  try {
    const v8 = process?.getBuiltinModule?.("node:v8") as
      { setFlagsFromString(flags: string): void } | undefined;
    const vm = process?.getBuiltinModule?.("node:vm") as
      { runInNewContext(code: string): unknown } | undefined;
    v8?.setFlagsFromString("--expose-gc");
    return vm?.runInNewContext("typeof gc === 'function' ? gc : undefined") as (() => void) | undefined;
  } catch {
    return undefined;
  }
}
