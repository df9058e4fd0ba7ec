/** The members that we use of the package that reads heap snapshots. */
export interface Heap {
  readonly nodes: {
    forEach(callback: (node: HeapNode) => void): void;
    get(index: number): HeapNode | null;
  };
  /** As V8 wrote it. */
  readonly snapshot: {
    readonly locations: ArrayLike<number>;
    readonly snapshot: { readonly meta: { readonly node_fields: readonly string[] } };
  };
}

export interface HeapNode {
  readonly id: number;
  readonly name: string;
  readonly type: string;
  readonly nodeIndex: number;
  toStringNode(): { readonly stringValue: string } | null;
  forEachReference(callback: (edge: HeapEdge) => void): void;
}

export interface HeapEdge {
  readonly type: string;
  readonly name_or_index: string | number;
  readonly fromNode: HeapNode;
  readonly toNode: HeapNode;
}

/** V8's names of the references to a value from a WeakMap's table, and from a key. */
const ephemeronName = /part of key \(.*? @(\d+)\) -> value .* pair in WeakMap \(table @(\d+)\)/;

/** The ids of both ends of a reference from a key of a WeakMap, or from its table, to a value. */
export function pairOf({ type, name_or_index: name }: HeapEdge): { key: number; table: number } | undefined {
  const [, key, table] = (type === "internal" && ephemeronName.exec(String(name))) || [];
  return key === undefined ? undefined : { key: Number(key), table: Number(table) };
}

/**
 * Walks the heap from its root, nearest things first, and notes by which reference each node was found.
 *
 * The package finds paths too, but they lead through the tables of WeakMaps to values whose keys are not held. Here a
 * key keeps its value only if the table is reachable by another path.
 */
export class HeapWalk {
  /** The edges that lead to a node, by its id. */
  readonly #edges = new Map<number, HeapEdge>();
  readonly #visited = new Set<number>();
  /** From keys, by the id of a table that nothing has led to so far. */
  readonly #waiting = new Map<number, HeapEdge[]>();

  constructor(heap: Heap) {
    const root = heap.nodes.get(0);
    if (root === null) return;
    const globals: HeapNode[] = [];
    root.forEachReference((edge) => {
      if (edge.type !== "shortcut") return;
      this.#edges.set(edge.toNode.id, edge);
      globals.push(edge.toNode);
    });
    this.#walk(globals); // a path from a global is easier to find in a program than one from the engine's roots
    this.#walk([root]);
  }

  /** The references from the root to `target`; empty if there are none. */
  pathTo(target: HeapNode): HeapEdge[] {
    const path: HeapEdge[] = [];
    let edge = this.#edges.get(target.id);
    for (; edge !== undefined; edge = this.#edges.get(edge.fromNode.id)) path.push(edge);
    return path.reverse();
  }

  #walk(level: readonly HeapNode[]): void {
    while (level.length > 0) {
      const next: HeapNode[] = [];
      const follow = (edge: HeapEdge): void => {
        const { toNode } = edge;
        if (this.#edges.has(toNode.id) || !this.#keeps(edge)) return;
        this.#edges.set(toNode.id, edge);
        next.push(toNode);
      };
      for (const node of level) {
        this.#visited.add(node.id);
        node.forEachReference(follow);
        this.#waiting.get(node.id)?.forEach(follow);
      }
      level = next;
    }
  }

  #keeps(edge: HeapEdge): boolean {
    if (edge.type === "weak" || edge.type === "shortcut") return false;
    const pair = pairOf(edge);
    if (pair === undefined) return true;
    if (edge.fromNode.id !== pair.key) return false;
    if (this.#visited.has(pair.table)) return true;
    const waiting = this.#waiting.get(pair.table) ?? [];
    waiting.push(edge);
    this.#waiting.set(pair.table, waiting);
    return false;
  }
}

export function referenceOf(node: HeapNode, wanted: (edge: HeapEdge) => boolean): HeapNode | undefined {
  let found: HeapNode | undefined;
  node.forEachReference((edge) => {
    if (wanted(edge)) found ??= edge.toNode;
  });
  return found;
}

/** The content of a string, or the name of a function. */
export function textOf(node: HeapNode | undefined): string {
  return node?.toStringNode()?.stringValue ?? node?.name ?? "";
}

export function property(node: HeapNode, name: string): HeapNode | undefined {
  return referenceOf(node, (edge) => edge.type === "property" && edge.name_or_index === name);
}
