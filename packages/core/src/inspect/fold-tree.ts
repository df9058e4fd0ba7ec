import type { NodeInfo } from "./describe-node.js";
import type { LoopDelay } from "./look.js";
import { hashOf, patternOfName, similarityKey, waitOf } from "./similar.js";

// This file also runs in the inspected process: see agent.ts.

/** Selects the rows of a tree. */
export interface FoldQuery {
  /** Whether similar scopes are one row. Otherwise each scope is a row. */
  readonly folded: boolean;
  /**
   * In lower case. Only scopes whose name, line, kind, state, wait or note contains it are shown, and their ancestors.
   */
  readonly filter: string;
  /** The keys of the rows that are closed: the scopes below them get no rows. */
  readonly closed: readonly string[];
  /** The `id` of the scope to describe in detail. */
  readonly detail?: number;
}

/** A row of a folded tree: one scope, or similar scopes with similar parents. */
export interface FoldedRow {
  /** Identifies the row across looks. */
  readonly key: string;
  /** The index of its parent row; -1 for a root. */
  readonly parent: number;
  /** The scope, or the oldest one of the group. */
  readonly node: NodeInfo;
  /** The name, or the common pattern of the names. */
  readonly name: string;
  /** The number of scopes in this row. */
  readonly count: number;
  /** The number of scopes below it without a row, because this row is closed. */
  readonly hidden: number;
  /** The earliest deadline of its scopes, own or inherited, in epoch ms. */
  readonly deadline?: number;
}

/** The number of scopes by kind and by state. */
export interface TreeCounts {
  scopes: number;
  requests: number;
  tasks: number;
  running: number;
  queued: number;
  cancelling: number;
  /** Tasks whose worker has ended and that wait for their children or cleanups. */
  closing: number;
}

/** A look at a tree of any size, in at most {@link MAX_ROWS} rows. */
export interface TreeSummary {
  /** In epoch ms. */
  readonly at: number;
  readonly counts: TreeCounts;
  /** Parents come before their children. */
  readonly rows: readonly FoldedRow[];
  /** The number of scopes without a row, because there are too many rows. */
  readonly omitted: number;
  /** The version of the process's runtime, and the name of its script. */
  readonly runtime: string;
  /** The number of scopes that the process has created so far. */
  readonly created: number;
  /** The ancestors of the scope `query.detail`, the scope, and its children. Absent if it has ended. */
  readonly detail?: readonly NodeInfo[];
  /** How late the event loop was, if it was measured. */
  readonly loopDelay?: LoopDelay;
  /** The function and the line in which the event loop is blocked, if it is. */
  readonly blockedIn?: string;
}

/** The maximum number of rows. More are of no use to a person. */
export const MAX_ROWS = 1_000;
/** How many children of the scope in detail are returned. */
const MAX_CHILDREN = 1_000;
/** How many of its ancestors are returned. */
const MAX_ABOVE = 200;

type Row = { -readonly [K in keyof FoldedRow]: FoldedRow[K] };

interface PathEntry {
  readonly node: NodeInfo;
  /** Its own or its inherited deadline. */
  readonly deadline: number | undefined;
  /**
   * The index of the row that counts it: its own, or a closed one above. `undefined`: not placed yet. `-1`: there is no
   * room.
   */
  row: number | undefined;
  isHidden: boolean;
}

/** Folds a tree during a walk: similar scopes with similar parents become one row. */
export class TreeFolder {
  readonly #query: FoldQuery;
  readonly #closed: ReadonlySet<string>;
  readonly rows: Row[] = [];
  readonly counts: TreeCounts = {
    scopes: 0,
    requests: 0,
    tasks: 0,
    running: 0,
    queued: 0,
    cancelling: 0,
    closing: 0,
  };
  omitted = 0;
  detail: NodeInfo[] | undefined = undefined;
  #children = 0;
  /** The indices of the rows by the index of the row above and their key. */
  readonly #known = new Map<string, number>();
  /** From a root to the scope that was added last. */
  readonly #path: PathEntry[] = [];

  constructor(query: FoldQuery) {
    this.#query = query;
    this.#closed = new Set(query.closed);
  }

  /** @param node - The next node of a walk in preorder. */
  add(node: NodeInfo): void {
    const path = this.#path;
    while (path.length > 0 && path.at(-1)?.node.id !== node.parent) path.pop();
    this.#collectDetail(node);
    if (node.kind === "background") return;
    this.#count(node);
    const { ownDeadline } = node;
    const inherited = path.at(-1)?.deadline;
    const deadline = ownDeadline === undefined ? inherited : Math.min(ownDeadline, inherited ?? Infinity);
    path.push({ node, deadline, row: undefined, isHidden: false });
    if (!matches(node, this.#query.filter)) return;
    // The ancestors of a scope with a row have rows, too.
    let first = path.length;
    while (first > 0 && path[first - 1]?.row === undefined) first -= 1;
    for (let depth = first; depth < path.length; depth++) this.#place(depth);
  }

  #count({ kind, status, state, reason }: NodeInfo): void {
    const { counts } = this;
    counts.scopes += 1;
    if (kind === "request") counts.requests += 1;
    if (kind !== "task") return;
    counts.tasks += 1;
    if (status === "queued") counts.queued += 1;
    else if (reason !== undefined) counts.cancelling += 1;
    else if (state === "open") counts.running += 1;
    else counts.closing += 1;
  }

  #collectDetail(node: NodeInfo): void {
    const { detail } = this.#query;
    if (detail === undefined) return;
    if (node.id === detail) this.detail = [...this.#path.slice(-MAX_ABOVE).map((place) => place.node), node];
    else if (node.parent === detail && this.#children < MAX_CHILDREN) {
      this.#children += 1;
      this.detail?.push(node);
    }
  }

  #place(depth: number): void {
    const place = this.#path[depth] as PathEntry;
    const above = depth === 0 ? undefined : (this.#path[depth - 1] as PathEntry);
    const parent = above?.row ?? -1;
    if (above !== undefined && parent === -1) return this.#omit(place);
    const parentRow = this.rows[parent];
    if (parentRow !== undefined && (above?.isHidden === true || this.#closed.has(parentRow.key))) {
      parentRow.hidden += 1;
      place.row = parent;
      place.isHidden = true;
      return;
    }
    const { node } = place;
    const key = this.#query.folded ? similarityKey(node) : String(node.id);
    const known = this.#known.get(`${parent} ${key}`);
    if (known !== undefined) this.#merge(known, place);
    else if (this.rows.length === MAX_ROWS) this.#omit(place);
    else {
      place.row = this.rows.length;
      this.#known.set(`${parent} ${key}`, place.row);
      this.rows.push({
        key: this.#query.folded ? `f${hashOf(`${parentRow?.key}\u0000${key}`)}` : key,
        parent,
        node,
        name: node.name,
        count: 1,
        hidden: 0,
        ...(place.deadline === undefined ? {} : { deadline: place.deadline }),
      });
    }
  }

  #omit(place: PathEntry): void {
    place.row = -1;
    this.omitted += 1;
  }

  #merge(index: number, place: PathEntry): void {
    const row = this.rows[index] as Row;
    place.row = index;
    row.count += 1;
    row.name = patternOfName(place.node.name);
    if (place.node.age > row.node.age) row.node = place.node;
    if (place.deadline !== undefined) row.deadline = Math.min(place.deadline, row.deadline ?? Infinity);
  }
}

function matches(node: NodeInfo, filter: string): boolean {
  if (filter === "") return true;
  const { name, spawnedAt = "", kind, state, status = "", note = "", reason } = node;
  const words = [name, spawnedAt, kind, state, status, waitOf(node), note, reason?.kind ?? ""];
  return words.join("\n").toLowerCase().includes(filter);
}
