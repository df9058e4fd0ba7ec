import {
  formatTree,
  groupNodes,
  unflatten,
  type Look,
  type NodeInfo,
  type Snapshot,
  type Warning,
} from "../inspect/index.js";
import { oneLine } from "../inspect/labels.js";
import { formatCount } from "./format-count.js";

/** More similar siblings than this are printed as one line. */
const MAX_SIMILAR = 5;

/** A look as text: the counts, the warnings, and the tree, in which many similar siblings are one line. */
export function printLook({ nodes }: Look, pid: number, all: boolean, warnings: readonly Warning[]): string {
  const scopes = nodes.filter(({ kind }) => kind !== "background");
  const tasks = scopes.filter(({ kind }) => kind === "task");
  const lines = [
    `process ${pid}: ${formatCount(scopes.length)} scopes, ${formatCount(tasks.length)} of them tasks`,
    "",
  ];
  for (const { title, detail } of warnings)
    lines.push(oneLine(`warning: ${title}`), ...detail.map((line) => `    ${oneLine(line)}`));
  if (warnings.length > 0) lines.push("");
  for (const tree of unflatten(nodes)) lines.push(formatTree(all ? tree : foldSimilar(tree)));
  return lines.join("\n");
}

/** Replaces many similar siblings by the oldest one, with their number in its name. The scopes below it are kept. */
function foldSimilar(tree: Snapshot): Snapshot {
  const folded = { ...tree };
  const todo: { children: readonly Snapshot[] }[] = [folded];
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    const children = at.children.length > MAX_SIMILAR ? foldSiblings(at.children) : at.children;
    at.children = children.map((child) => {
      const copy = { ...child };
      todo.push(copy);
      return copy;
    });
  }
  return folded;
}

function foldSiblings(siblings: readonly Snapshot[]): Snapshot[] {
  const patterns = siblings.map((node) => ({ ...asNode(node), name: node.name.replace(/\d+/g, "#") }));
  const names = new Map<number, string>();
  const dropped = new Set<number>();
  for (const { count: size, members, name } of groupNodes(patterns, {
    by: ["site", "kind", "state", "wait"],
  })) {
    if (size <= MAX_SIMILAR) continue;
    const [first, ...others] = members;
    for (const id of others) dropped.add(id);
    names.set(first as number, `${formatCount(size)} × ${name}, the oldest:`);
  }
  return siblings
    .filter(({ id }) => !dropped.has(id))
    .map((node) => ({ ...node, name: names.get(node.id) ?? node.name }));
}

const asNode = (node: Snapshot): NodeInfo => ({ ...node, ...node.counts });
