import type { NodeInfo } from "../inspect/index.js";
import { hashOf, patternOf, waitOf } from "../inspect/similar.js";
import { siteOf, type TreeIndex } from "./tree-index.js";
import { nameOf, nodeRow, stateOf, withoutQuery, type NodeRow } from "./views.js";
import { inSlices } from "./slices.js";

/** More similar siblings than these are one row until it is opened. */
const MAX_SIMILAR = 5;
/** How many members of a group, or results of a search, are shown at a time. */
const PAGE = 200;
/** However much is opened, more rows are of no use to a person. */
const MAX_ROWS = 2_000;
/** Above this depth scopes are open at first. */
const OPEN_DEPTH = 3;

/** A row of the tree: a scope, many similar siblings, or "1,800 more". */
export type TreeRow = {
  /** What is sent to open or to close it. */
  readonly key: string;
  readonly depth: number;
} & (
  | ({ readonly type: "node"; readonly open: boolean; readonly children: number } & NodeRow)
  | {
      readonly type: "group";
      readonly open: boolean;
      readonly children: number;
      readonly name: string;
      readonly kind: string;
      readonly state: string;
      readonly wait: string;
      readonly site: string;
      readonly age: number;
    }
  | { readonly type: "more"; readonly left: number }
);

interface Entry {
  readonly depth: number;
  readonly node?: NodeInfo;
  readonly group?: { readonly key: string; readonly members: readonly NodeInfo[] };
  readonly more?: { readonly key: string; readonly left: number };
}

/**
 * The rows that are visible.
 *
 * @param toggled - The keys of the rows that are not as they were at first.
 * @param pages - By key, how many pages of a group are shown; one if it is missing.
 */
export function treeRows(
  index: TreeIndex,
  toggled: ReadonlySet<string>,
  pages: ReadonlyMap<string, number>,
): TreeRow[] {
  const rows: TreeRow[] = [];
  const todo: Entry[] = index.roots.map((node) => ({ node, depth: 0 })).reverse();
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    const { depth, node, group, more } = at;
    if (rows.length === MAX_ROWS) {
      rows.push({ type: "more", key: "", depth: 0, left: -1 });
      break;
    }
    if (more !== undefined) rows.push({ type: "more", depth, ...more });
    else if (group !== undefined) {
      const open = toggled.has(group.key);
      rows.push(groupEntry(group, depth, open));
      if (open) push(todo, paged(group.members, asEntry(depth + 1), group.key, depth + 1, pages));
    } else if (node !== undefined) {
      const key = String(node.id);
      const children = index.childCount(node);
      const open = children > 0 && toggled.has(key) !== depth < OPEN_DEPTH;
      rows.push({ type: "node", key, depth, open, children, ...nodeRow(node, index.look.at) });
      if (open)
        push(
          todo,
          paged(folded(index, node, depth + 1), (entry) => entry, key, depth + 1, pages),
        );
    }
  }
  return rows;
}

const asEntry =
  (depth: number) =>
  (node: NodeInfo): Entry => ({ node, depth });

function push(todo: Entry[], entries: readonly Entry[]): void {
  for (let index = entries.length - 1; index >= 0; index--) todo.push(entries[index] as Entry);
}

/** Makes entries only of the items that are shown: a group may have a million members. */
function paged<T>(
  items: readonly T[],
  toEntry: (item: T) => Entry,
  key: string,
  depth: number,
  pages: ReadonlyMap<string, number>,
): readonly Entry[] {
  const shown = PAGE * (pages.get(key) ?? 1);
  const entries = items.slice(0, shown).map(toEntry);
  if (items.length > shown) entries.push({ depth, more: { key, left: items.length - shown } });
  return entries;
}

function folded(index: TreeIndex, parent: NodeInfo, depth: number): Entry[] {
  const entries: Entry[] = [];
  for (const [key, members] of index.family(parent)) {
    if (members.length > MAX_SIMILAR)
      entries.push({ depth, group: { key: `${parent.id}.${hashOf(key)}`, members } });
    else for (const node of members) entries.push({ node, depth });
  }
  return entries;
}

function groupEntry(
  { key, members }: { readonly key: string; readonly members: readonly NodeInfo[] },
  depth: number,
  open: boolean,
): TreeRow {
  const [first] = members as readonly [NodeInfo];
  return {
    type: "group",
    key,
    depth,
    open,
    children: members.length,
    name: first.request === undefined ? withoutQuery(patternOf(first)) : nameOf(first),
    kind: first.kind,
    state: stateOf(first),
    wait: waitOf(first),
    site: siteOf(first),
    age: first.age,
  };
}

/** The scopes whose name, line, state or wait contains a text, and how many there are. */
export async function findRows(
  index: TreeIndex,
  text: string,
  pages: number,
): Promise<{ readonly rows: readonly TreeRow[]; readonly total: number }> {
  const wanted = text.toLowerCase();
  const found: NodeInfo[] = [];
  let total = 0;
  await inSlices(index.look.nodes, (node) => {
    const { spawnedAt = "", kind } = node;
    const words = `${nameOf(node)}\n${spawnedAt}\n${kind}\n${stateOf(node)}\n${waitOf(node)}\n${node.note ?? ""}`;
    if (!words.toLowerCase().includes(wanted)) return;
    total++;
    if (found.length < Math.min(PAGE * pages, MAX_ROWS)) found.push(node);
  });
  const rows: TreeRow[] = found.map((node) => {
    const row = nodeRow(node, index.look.at);
    return { type: "node", key: String(node.id), depth: 0, open: false, children: 0, ...row };
  });
  if (total > found.length) rows.push({ type: "more", key: "", depth: 0, left: total - found.length });
  return { rows, total };
}
