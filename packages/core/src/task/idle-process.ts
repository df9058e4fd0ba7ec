import { hasOnlyUnheldChildren, hasTimerToHold, startHolding } from "../kernel/process-hold.js";
import type { ScopeNode } from "../kernel/node.js";
import { beforeProcessEnd } from "../kernel/platform.js";
import { backgroundNode } from "../kernel/scope-view.js";
import { isCancelled } from "../kernel/state.js";
import { collectWith, findCollector } from "./forced-collection.js";

/**
 * Lets a process end although workers of dropped `selfCleaning` objects still wait for timers.
 *
 * An idle process allocates nothing, so nothing is collected, and the worker of a dropped object would keep it alive for
 * ever. So the timers of such a scope do not keep the process alive at first. When nothing keeps it alive
 * (`beforeExit`), bough makes the engine collect garbage once: the scopes of dropped objects are cancelled, as at any
 * collection, and their cleanups run. The timers of all others keep the process alive from then on.
 *
 * Where the engine can't be made to collect, nothing counts as dropped.
 */
export function endWhenIdle(): void {
  if (isWatching) return;
  beforeProcessEnd(() => void collectDropped(rootsWithUnheldTimers));
  isWatching = true; // only now: the call may have overflowed the stack
}

let isWatching = false;
let isCollecting = false;

/**
 * `main` keeps the process alive until its scope has ended. When the scope has only objects of `selfCleaning` left, those
 * that were dropped are collected now, since nothing else would allocate.
 */
export async function endDroppedBelow(root: ScopeNode): Promise<void> {
  if (!isWatching || !hasOnlyUnheldChildren(root)) return;
  await collectDropped(() => [root]);
}

/** Collects dropped handles. Then lets the timers of the nodes that `find` still returns keep the process alive. */
async function collectDropped(find: () => readonly ScopeNode[]): Promise<void> {
  if (isCollecting) return;
  isCollecting = true;
  try {
    const collect = find().some((node) => !isCancelled(node)) ? findCollector() : undefined;
    if (collect !== undefined) await collectWith(collect);
    // The cleanups of a cancelled scope must run, even if its handle was dropped.
    for (const node of find()) startHolding(node);
  } finally {
    isCollecting = false;
  }
}

function rootsWithUnheldTimers(): ScopeNode[] {
  const found: ScopeNode[] = [];
  for (let node = backgroundNode.first; node !== undefined; node = node.next)
    if (hasTimerToHold(node)) found.push(node);
  return found;
}
