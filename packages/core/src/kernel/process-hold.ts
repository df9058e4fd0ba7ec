import {
  hasDeadlineTimer,
  isCancelled,
  isClosed,
  isLive,
  refTimers,
  timersHoldProcess,
  unrefTimers,
} from "./state.js";
import { addHook, Hook, removeHook } from "./cancel-hooks.js";
import { MAX_DELAY } from "./constants.js";
import { isOptedOutOfHold, optOutOfHold } from "./timer-hold.js";
import type { ScopeNode } from "./node.js";
import { realIntervals } from "./platform.js";
import { updateTimerHold, liveDescendants } from "./tree.js";

/** Whether any scope has such timers. Most programs have none, and walk no tree. */
let anyUnrefed = false;

/** Applies the option `holdsProcess`: whether the timers of `node` and its descendants keep the process alive. */
export function setHoldsProcess(node: ScopeNode, holds: boolean): void {
  if (holds) refTimers(node);
  else {
    unrefTimers(node);
    optOutOfHold(node);
    anyUnrefed = true;
  }
}

/** The live scopes from `root` down, except those with `holdsProcess: false` and their descendants. */
function* liveScopesThatMayHold(root: ScopeNode): Generator<ScopeNode, void, void> {
  if (isOptedOutOfHold(root) || isClosed(root)) return;
  yield root;
  const passedOver = new Set<ScopeNode | undefined>();
  for (const node of liveDescendants(root)) {
    if (isOptedOutOfHold(node) || passedOver.has(node.parent)) passedOver.add(node);
    else yield node;
  }
}

/** Whether there is a timer below `root` that {@link startHolding} would let keep the process alive. */
export function hasTimerToHold(root: ScopeNode): boolean {
  for (const node of liveScopesThatMayHold(root)) {
    if (timersHoldProcess(node)) continue;
    if (hasDeadline(node) && node.first !== undefined) return true;
    for (let hook = node.hooks; hook !== undefined; hook = hook.next)
      if (hook.hasTimer?.() === true) return true;
  }
  return false;
}

/** Whether the deadline of `node` may still have something to cancel. */
function hasDeadline(node: ScopeNode): boolean {
  return hasDeadlineTimer(node) && !isCancelled(node);
}

/** Lets the timers below `root` keep the process alive, including pending ones. */
export function startHolding(root: ScopeNode): void {
  for (const node of liveScopesThatMayHold(root)) {
    if (timersHoldProcess(node)) continue;
    refTimers(node);
    if (hasDeadline(node)) updateTimerHold(node);
    for (let hook = node.hooks; hook !== undefined; hook = hook.next) hook.holdTimer?.();
  }
}

/** Whether `root` has children, and no timer of theirs keeps the process alive yet: they are scopes of `selfCleaning`. */
export function hasOnlyUnheldChildren(root: ScopeNode): boolean {
  for (let node = root.first; node !== undefined; node = node.next)
    if (timersHoldProcess(node) || isOptedOutOfHold(node)) return false;
  return root.first !== undefined;
}

/** Keeps the process alive until the returned function is called. */
export function keepProcessAlive(): () => void {
  const { setInterval: set, clearInterval: clear } = realIntervals;
  const timer = set(() => undefined, MAX_DELAY);
  return () => clear(timer);
}

/** Whether the end of `node` may depend on timers that don't keep the process alive. */
export function hasUnrefedTimers(node: ScopeNode): boolean {
  if (!anyUnrefed) return false;
  if (!timersHoldProcess(node)) return true;
  for (const below of liveDescendants(node)) if (!timersHoldProcess(below)) return true;
  return false;
}

/** Keeps the process alive while a scope runs and code waits for a result of it. */
export class ProcessHold extends Hook {
  readonly #node: ScopeNode;
  #waiting = 0;
  #release: (() => void) | undefined;

  constructor(node: ScopeNode) {
    super();
    this.#node = node;
  }

  acquire(): void {
    this.#waiting += 1;
    if (this.#waiting > 1 || !isLive(this.#node)) return;
    this.previous = this; // the hook may have been added and removed before
    addHook(this.#node, this);
    this.#release = keepProcessAlive();
  }

  release(): void {
    this.#waiting -= 1;
    if (this.#waiting > 0 || this.#release === undefined) return;
    removeHook(this.#node, this);
    this.#releaseProcess();
  }

  run(): void {
    this.#releaseProcess();
  }

  override ended(): void {
    this.#releaseProcess();
  }

  #releaseProcess(): void {
    this.#release?.();
    this.#release = undefined;
  }
}
