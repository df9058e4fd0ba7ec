import type { LiveTree } from "./live-tree.js";
import { inSlices } from "./slices.js";
import { hashOf, waitOf } from "../inspect/similar.js";
import { nameOf, siteOf, type Entry, type SiblingGroup } from "./tree-entry.js";
import { nodeRow, stateOf, type NodeRow } from "./page-data.js";

/** More similar siblings than this are one row until it is opened. */
const MAX_SIMILAR = 5;
/** How many members of a group, or results of a search, are shown at a time. */
const PAGE = 200;
/** The maximum number of rows. More are of no use to a person. */
const MAX_ROWS = 2_000;
/** Scopes above this depth are open initially. */
const OPEN_DEPTH = 3;

/** A row of the tree: a scope, many similar siblings, or "1,800 more". */
export type TreeRow = {
  /** The page sends this key to open or close the row. */
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

interface Item {
  readonly depth: number;
  readonly entry?: Entry;
  readonly group?: { readonly key: string; readonly siblingGroup: SiblingGroup };
  readonly more?: { readonly key: string; readonly left: number };
}

/**
 * Returns the visible rows.
 *
 * @param toggled - The keys of the rows that the user has opened or closed.
 * @param pages - The number of pages to show by the key of the group. Default: one.
 */
export function treeRows(
  tree: LiveTree,
  toggled: ReadonlySet<string>,
  pages: ReadonlyMap<string, number>,
): TreeRow[] {
  const rows: TreeRow[] = [];
  const shown = (key: string): number => PAGE * (pages.get(key) ?? 1);
  const todo: Item[] = tree.roots.map((entry) => ({ entry, depth: 0 })).reverse();
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    const { depth, entry, group, more } = at;
    if (rows.length === MAX_ROWS) {
      rows.push({ type: "more", key: "", depth: 0, left: -1 });
      break;
    }
    if (more !== undefined) rows.push({ type: "more", depth, ...more });
    else if (group !== undefined) {
      const open = toggled.has(group.key);
      rows.push(groupRow(group.key, group.siblingGroup, depth, open));
      if (open) push(todo, members(group.siblingGroup, group.key, depth + 1, shown(group.key)));
    } else if (entry !== undefined) {
      const key = String(entry.info.id);
      const children = tree.childCount(entry);
      const open = children > 0 && toggled.has(key) !== depth < OPEN_DEPTH;
      rows.push({ type: "node", key, depth, open, children, ...nodeRow(entry, tree.head.at) });
      if (open) push(todo, folded(tree.siblingGroups(entry), key, depth + 1, shown(key)));
    }
  }
  return rows;
}

function push(todo: Item[], items: readonly Item[]): void {
  for (let index = items.length - 1; index >= 0; index--) todo.push(items[index] as Item);
}

/** The first members of a group. A group may have a million. */
function members(siblingGroup: SiblingGroup, key: string, depth: number, shown: number): Item[] {
  const items: Item[] = [];
  for (let at = siblingGroup.first; at !== undefined && items.length < shown; at = at.next)
    items.push({ entry: at, depth });
  if (siblingGroup.count > shown) items.push({ depth, more: { key, left: siblingGroup.count - shown } });
  return items;
}

/** Folds similar siblings into groups, unless they are few. */
function folded(
  siblingGroups: readonly SiblingGroup[],
  parent: string,
  depth: number,
  shown: number,
): Item[] {
  const items: Item[] = [];
  let total = 0;
  for (const siblingGroup of siblingGroups) {
    const isGroup = siblingGroup.count > MAX_SIMILAR;
    total += isGroup ? 1 : siblingGroup.count;
    if (items.length >= shown) continue;
    if (isGroup)
      items.push({ depth, group: { key: `${parent}.${hashOf(siblingGroup.group.key)}`, siblingGroup } });
    else for (let at = siblingGroup.first; at !== undefined; at = at.next) items.push({ entry: at, depth });
  }
  if (total > shown)
    items.splice(shown, items.length - shown, { depth, more: { key: parent, left: total - shown } });
  return items;
}

function groupRow(key: string, { count, group, first }: SiblingGroup, depth: number, open: boolean): TreeRow {
  const { info, age } = first as Entry;
  return {
    type: "group",
    key,
    depth,
    open,
    children: count,
    name: group.place.name,
    kind: info.kind,
    state: stateOf(info),
    wait: waitOf(info),
    site: siteOf(info),
    age,
  };
}

/** Finds the scopes whose name, line, kind, state, wait or note contains a text, and counts them. */
export async function findRows(
  tree: LiveTree,
  text: string,
  pages: number,
): Promise<{ readonly rows: readonly TreeRow[]; readonly total: number }> {
  const wanted = text.toLowerCase();
  const found: Entry[] = [];
  let total = 0;
  await inSlices(tree.byId.values(), (entry) => {
    const { info } = entry;
    const { spawnedAt = "", kind, note = "" } = info;
    const words = `${nameOf(info)}\n${spawnedAt}\n${kind}\n${stateOf(info)}\n${waitOf(info)}\n${note}`;
    if (!words.toLowerCase().includes(wanted)) return;
    total++;
    if (found.length < Math.min(PAGE * pages, MAX_ROWS)) found.push(entry);
  });
  const rows: TreeRow[] = found.map((entry) => {
    const row = nodeRow(entry, tree.head.at);
    return { type: "node", key: String(row.id), depth: 0, open: false, children: 0, ...row };
  });
  if (total > found.length) rows.push({ type: "more", key: "", depth: 0, left: total - found.length });
  return { rows, total };
}
