import { MAX_WAITS, type NodeInfo } from "./describe-node.js";
import type { History, Warning } from "./warning.js";

/**
 * Finds scopes that wait for each other's permits, so that none of them can continue. A scope is blocked if all holders
 * of the permits that it waits for are blocked, or all children that it waits for. The search starts with every scope
 * that waits and removes those that can continue, until nothing changes. The remaining scopes are the deadlock.
 */
export function findDeadlock({ look, childrenOf, byId }: History): Warning[] {
  const blocked = new Set<number>();
  for (const node of look.nodes) if (mayBeBlocked(node, childrenOf)) blocked.add(node.id);
  for (let changed = true; changed;) {
    changed = false;
    for (const id of blocked) {
      const node = byId.get(id) as NodeInfo;
      const others = waitsFor(node, childrenOf);
      if (others.length > 0 && others.every((other) => blocked.has(other))) continue;
      blocked.delete(id);
      changed = true;
    }
  }
  if (blocked.size === 0) return [];
  const cycle = cycleIn(blocked, byId, childrenOf);
  return [
    {
      code: "deadlock",
      title: `${blocked.size} scopes wait for each other's permits`,
      detail: cycle.map((id, index) => {
        const next = cycle[(index + 1) % cycle.length] as number;
        return `${quotedName(byId.get(id))} waits for ${quotedName(byId.get(next))}`;
      }),
      nodes: [...blocked].slice(0, 100),
    },
  ];
}

function mayBeBlocked(node: NodeInfo, childrenOf: History["childrenOf"]): boolean {
  if (node.state !== "open" && node.state !== "closing") return false;
  if (node.joining === true) return childrenOf.has(node.id);
  const { waits } = node;
  // A description lists at most MAX_WAITS waits: with that many, some may be missing.
  return (
    waits !== undefined &&
    waits.length < MAX_WAITS &&
    waits.every(({ heldBy }) => heldBy !== undefined && heldBy.length > 0)
  );
}

/** The holders first, then the children: a child that continues may release a permit of its parent. */
function waitsFor(node: NodeInfo, childrenOf: History["childrenOf"]): readonly number[] {
  const children = (childrenOf.get(node.id) ?? []).map(({ id }) => id);
  return [...(node.waits ?? []).flatMap(({ heldBy }) => heldBy ?? []), ...children];
}

/** Follows the first wait of each scope until a scope repeats. */
function cycleIn(
  blocked: ReadonlySet<number>,
  byId: History["byId"],
  childrenOf: History["childrenOf"],
): number[] {
  const path: number[] = [];
  let [at] = blocked;
  while (at !== undefined && !path.includes(at)) {
    path.push(at);
    [at] = waitsFor(byId.get(at) as NodeInfo, childrenOf);
  }
  return at === undefined ? path : path.slice(path.indexOf(at));
}

const quotedName = (node: NodeInfo | undefined): string =>
  node === undefined ? "?" : JSON.stringify(node.name);
