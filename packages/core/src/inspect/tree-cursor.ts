import type { Copy } from "../kernel/copies.js";
import type { ScopeNode } from "../kernel/node.js";
import { nextInSubtree, type Cursor } from "../kernel/tree.js";

// This file and what it imports also run in other processes: see agent.ts. So it takes the clocks as arguments.

/** The tree of one copy of the package, or a part of it. */
export type Tree = Pick<Copy, "root" | "cursors" | "elapsed">;

/** How many scopes are described between two looks at the clock. */
const STRIDE = 16;

/**
 * A place in a tree that changes. Between two calls of {@link take} it stands on the next node to describe, and moves on if
 * that node settles: a node has no children when it leaves the tree, so what follows it is what would have followed it then.
 */
export class TreeCursor<T> implements Cursor {
  readonly #tree: Tree;
  readonly #now: () => number;
  readonly #describe: (node: ScopeNode, now: number) => T;
  #next: ScopeNode | undefined;
  readonly #self = new WeakRef<Cursor>(this);

  /**
   * @param now - A monotonic clock in ms.
   * @param describe - Gets a node, and the time on the clock of its `startedAt`.
   */
  constructor(tree: Tree, now: () => number, describe: (node: ScopeNode, now: number) => T) {
    this.#tree = tree;
    this.#now = now;
    this.#describe = describe;
    this.#next = tree.root;
    tree.cursors.push(this.#self);
  }

  get ended(): boolean {
    return this.#next === undefined;
  }

  /** Describes nodes for `ms` milliseconds, but at least a few. */
  take(ms: number): T[] {
    const found: T[] = [];
    const now = Math.floor(this.#tree.elapsed());
    const start = this.#now();
    for (let at = this.#next; at !== undefined; at = this.#next) {
      found.push(this.#describe(at, now));
      this.#next = nextInSubtree(this.#tree.root, at, false);
      if (found.length % STRIDE === 0 && this.#now() - start >= ms) break;
    }
    if (this.#next === undefined) this.leaveTree();
    return found;
  }

  leave(node: ScopeNode): void {
    if (this.#next !== node) return;
    this.#next = node === this.#tree.root ? undefined : nextInSubtree(this.#tree.root, node, true);
  }

  leaveTree(): void {
    this.#next = undefined;
    const index = this.#tree.cursors.indexOf(this.#self);
    if (index !== -1) this.#tree.cursors.splice(index, 1);
  }
}
