import type { NodeInfo } from "./describe-node.js";

/** Numbers, and random ids of hexadecimal digits. */
const varying = /\b(?=[a-z]*\d)[\da-f]{8,}(?:-[\da-f]{4,})*\b|\d+/gi;

/** A name in which the parts that differ between similar scopes are replaced by `#`. */
export const patternOfName = (name: string): string => name.replace(varying, "#");

/** The operation of the first wait of a scope. */
export const waitOf = (node: NodeInfo): string =>
  node.waits?.[0]?.operation ?? (node.joining === true ? "join" : "");

/** A key that similar scopes share: the same kind, name (except for digits), call site, state and wait. */
export function similarityKey(node: NodeInfo): string {
  const { kind, state, status = "", spawnedAt = "", waitingForCleanup } = node;
  return [patternOfName(node.name), kind, state, status, waitingForCleanup, waitOf(node), spawnedAt].join(
    "\u0000",
  );
}

/** A short hash of a key. */
export function hashOf(key: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++)
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193) >>> 0;
  return hash.toString(36);
}
