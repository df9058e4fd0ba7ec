import type { ScopeNode } from "./node.js";

/**
 * The names from the root, joined by `/`. Kept on inner nodes, so that the paths of a deep tree share their beginnings:
 * when each of 100,000 levels reports a failure, that is not 100,000 long strings.
 */
export function pathOf(node: ScopeNode): string {
  const below: ScopeNode[] = [];
  let at = node;
  while (at.parent?.parent !== undefined && at.rarely?.path === undefined) {
    below.push(at);
    at = at.parent;
  }
  let path = at.parent === undefined ? "" : (at.rarely?.path ?? at.name); // a root's is its name
  for (let next = below.pop(); next !== undefined; next = below.pop()) {
    path = path === "" ? next.name : `${path}/${next.name}`;
    if (next.rarely !== undefined || next.first !== undefined) next.rare().path = path;
  }
  return path;
}
