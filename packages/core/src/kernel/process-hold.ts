import { CANCELLED, CLOSED, UNHELD } from "./state.js";
import { addHook, Hook, removeHook } from "./cancel-hooks.js";
import type { ScopeNode } from "./node.js";
import { realTimers } from "./platform.js";
import { liveDescendants } from "./tree.js";

const LONG = 2 ** 31 - 1;

/** So that the usual program, which has no such scope, walks no tree for it. */
let anyUnheld = false;

/** The option `holdsProcess`: whether the timers of `node` and of all below keep the process alive. */
export function setHoldsProcess(node: ScopeNode, holds: boolean): void {
  if (holds) node.flags &= ~UNHELD;
  else {
    node.flags |= UNHELD;
    anyUnheld = true;
  }
}

/** Keeps the process alive until the function that it returns is called. */
export function holdProcessOpen(): () => void {
  const set = realTimers.setInterval;
  const clear = realTimers.clearInterval;
  const timer = set(() => undefined, LONG);
  return () => clear(timer);
}

/** Whether somebody who waits for the end of `node` waits for timers that don't keep the process alive. */
export function needsHold(node: ScopeNode): boolean {
  if (!anyUnheld) return false;
  if ((node.flags & UNHELD) !== 0) return true;
  for (const below of liveDescendants(node)) if ((below.flags & UNHELD) !== 0) return true;
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

  enter(): void {
    this.#waiting += 1;
    if (this.#waiting > 1 || (this.#node.flags & (CANCELLED | CLOSED)) !== 0) return;
    this.previous = this; // it may have been on and off before
    addHook(this.#node, this);
    this.#release = holdProcessOpen();
  }

  leave(): void {
    this.#waiting -= 1;
    if (this.#waiting > 0 || this.#release === undefined) return;
    removeHook(this.#node, this);
    this.#let();
  }

  run(): void {
    this.#let();
  }

  override ended(): void {
    this.#let();
  }

  #let(): void {
    this.#release?.();
    this.#release = undefined;
  }
}
