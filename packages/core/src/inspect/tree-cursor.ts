import type { PackageCopy } from "../kernel/package-copies.js";
import type { ScopeNode } from "../kernel/node.js";
import { nextInSubtree, type Cursor } from "../kernel/tree.js";

// This file and what it imports also run in other processes: see agent.ts. So it takes the clocks as arguments.

/** The tree of one copy of the package, or a part of it. */
export type Tree = Pick<PackageCopy, "root" | "cursors" | "elapsed">;

/** How many scopes are described between two readings of the clock. */
const NODES_PER_CLOCK_READ = 16;

/**
 * A position in a tree that changes. Between two calls of {@link take} it stands on the next node to describe. If that
 * node settles, the cursor moves to the node after it: a node has no children when it leaves the tree, so no node is
 * skipped.
 */
export class TreeCursor<T> implements Cursor {
  readonly #tree: Tree;
  readonly #now: () => number;
  readonly #describe: (node: ScopeNode, now: number) => T;
  #next: ScopeNode | undefined;
  readonly #self = new WeakRef<Cursor>(this);

  /**
   * @param now - A monotonic clock in ms.
   * @param describe - Describes a node. `now` is on the same clock as its `startedAt`.
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
      if (found.length % NODES_PER_CLOCK_READ === 0 && this.#now() - start >= ms) break;
    }
    if (this.#next === undefined) this.close();
    return found;
  }

  leave(node: ScopeNode): void {
    if (this.#next !== node) return;
    this.#next = node === this.#tree.root ? undefined : nextInSubtree(this.#tree.root, node, true);
  }

  close(): void {
    this.#next = undefined;
    const index = this.#tree.cursors.indexOf(this.#self);
    if (index !== -1) this.#tree.cursors.splice(index, 1);
  }
}
