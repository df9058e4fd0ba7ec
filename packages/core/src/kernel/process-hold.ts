import { CANCELLED, CLOSED, HAS_DEADLINE_TIMER, TIMERS_UNREFED } from "./state.js";
import { addHook, Hook, removeHook } from "./cancel-hooks.js";
import { isOptedOutOfHold, optOutOfHold } from "./long-timer.js";
import type { ScopeNode } from "./node.js";
import { realTimers } from "./platform.js";
import { updateTimerHold, liveDescendants } from "./tree.js";

const LONGEST_INTERVAL = 2 ** 31 - 1;

/** So that the usual program, which has no such scope, walks no tree for it. */
let anyUnrefed = false;

/** The option `holdsProcess`: whether the timers of `node` and of all below keep the process alive. */
export function setHoldsProcess(node: ScopeNode, holds: boolean): void {
  if (holds) node.flags &= ~TIMERS_UNREFED;
  else {
    node.flags |= TIMERS_UNREFED;
    optOutOfHold(node);
    anyUnrefed = true;
  }
}

/** The scopes of `root` and below it that have not settled, without those whose option lets the process end. */
function* liveScopesThatMayHold(root: ScopeNode): Generator<ScopeNode, void, void> {
  if (isOptedOutOfHold(root) || (root.flags & CLOSED) !== 0) return;
  yield root;
  const passedOver = new Set<ScopeNode | undefined>();
  for (const node of liveDescendants(root)) {
    if (isOptedOutOfHold(node) || passedOver.has(node.parent)) passedOver.add(node);
    else yield node;
  }
}

/** Whether `root`, whose timers don't keep the process alive yet, has a timer that could. */
export function hasUnheldTimer(root: ScopeNode): boolean {
  if ((root.flags & TIMERS_UNREFED) === 0) return false;
  for (const node of liveScopesThatMayHold(root)) {
    if ((node.flags & TIMERS_UNREFED) === 0) continue;
    if (hasDeadline(node) && node.first !== undefined) return true;
    for (let hook = node.hooks; hook !== undefined; hook = hook.next)
      if (hook.hasTimer?.() === true) return true;
  }
  return false;
}

/** Whether the deadline of `node` may still have something to cancel. */
function hasDeadline(node: ScopeNode): boolean {
  return (node.flags & (HAS_DEADLINE_TIMER | CANCELLED)) === HAS_DEADLINE_TIMER;
}

/** From now on the timers of `root` keep the process alive, the pending ones included. */
export function startHolding(root: ScopeNode): void {
  for (const node of liveScopesThatMayHold(root)) {
    node.flags &= ~TIMERS_UNREFED;
    if (hasDeadline(node)) updateTimerHold(node);
    for (let hook = node.hooks; hook !== undefined; hook = hook.next) hook.holdTimer?.();
  }
}

/** Keeps the process alive until the function that it returns is called. */
export function keepProcessAlive(): () => void {
  const set = realTimers.setInterval;
  const clear = realTimers.clearInterval;
  const timer = set(() => undefined, LONGEST_INTERVAL);
  return () => clear(timer);
}

/** Whether code that waits for the end of `node` waits for timers that don't keep the process alive. */
export function hasUnrefedTimers(node: ScopeNode): boolean {
  if (!anyUnrefed) return false;
  if ((node.flags & TIMERS_UNREFED) !== 0) return true;
  for (const below of liveDescendants(node)) if ((below.flags & TIMERS_UNREFED) !== 0) return true;
  return false;
}

/** Keeps the process alive while a scope runs, and something of it is waited for. */
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
    if (this.#waiting > 1 || (this.#node.flags & (CANCELLED | CLOSED)) !== 0) return;
    this.previous = this; // it may have been on and off before
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
