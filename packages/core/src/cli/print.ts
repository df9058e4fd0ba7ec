import {
  formatTree,
  groupNodes,
  unflatten,
  type Look,
  type NodeInfo,
  type Snapshot,
  type Warning,
} from "../inspect/index.js";

/** More similar siblings than these are printed as one line. */
const MAX_SIMILAR = 5;

/** A look as text: the counts, what blocks the event loop, and the tree, in which many similar siblings are one line. */
export function printLook(look: Look, pid: number, all: boolean, warnings: readonly Warning[] = []): string {
  const { nodes, blockedIn } = look;
  const tasks = nodes.filter(({ kind }) => kind === "task").length;
  const lines = [`process ${pid}: ${count(nodes.length - 1)} scopes, ${count(tasks)} of them tasks`];
  if (blockedIn !== undefined) lines.push(`the event loop is blocked in ${blockedIn}`);
  if (warnings.length > 0) lines.push("");
  for (const { title, detail } of warnings)
    lines.push(`warning: ${title}`, ...detail.map((line) => `    ${line}`));
  lines.push("");
  for (const tree of unflatten(nodes)) lines.push(formatTree(all ? tree : foldSimilar(tree)));
  return lines.join("\n");
}

/** Keeps of many similar siblings the oldest one, named after how many they are, and what is below it. Changes the tree. */
function foldSimilar(tree: Snapshot): Snapshot {
  const todo: Snapshot[] = [tree];
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    const children = at.children as { name: string }[] & Snapshot[];
    if (children.length > MAX_SIMILAR) children.splice(0, Infinity, ...foldSiblings(children));
    for (const child of children) todo.push(child);
  }
  return tree;
}

function foldSiblings(siblings: readonly Snapshot[]): (Snapshot & { name: string })[] {
  const patterns = siblings.map((node) => ({ ...asNode(node), name: node.name.replace(/\d+/g, "#") }));
  const names = new Map<number, string>();
  const dropped = new Set<number>();
  for (const { count: size, members, name } of groupNodes(patterns, {
    by: ["site", "kind", "state", "wait"],
  })) {
    if (size <= MAX_SIMILAR) continue;
    const [first, ...others] = members;
    for (const id of others) dropped.add(id);
    names.set(first as number, `${count(size)} × ${name}, the oldest:`);
  }
  return siblings
    .filter(({ id }) => !dropped.has(id))
    .map((node) => ({ ...node, name: names.get(node.id) ?? node.name }));
}

const asNode = (node: Snapshot): NodeInfo => ({ ...node, ...node.counts });

const count = (number: number): string => number.toLocaleString("en");
