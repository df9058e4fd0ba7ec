import type { NodeGroup, NodeInfo, NodeKind, Warning } from "../inspect/index.js";
import type { Summary } from "../inspect/warning.js";
import { LookWatcher } from "../inspect/watcher.js";
import type { LiveTree } from "./live-tree.js";
import type { Place } from "./tree-entry.js";

/** Replaces the message of an error. */
const NOT_SHOWN = "not shown without the option causes";
/** How many places are watched for growth. */
const MAX_PLACES = 1_000;

/** Finds warnings in a tree of any size. It passes counts to the rules instead of all scopes. */
export class TreeWatcher {
  readonly #watcher = new LookWatcher(
    { stuck: 5_000, deaf: 10_000, unclosed: 60_000, blocked: 200 },
    new Set(),
  );

  readonly #causes: boolean;

  /** @param causes - Whether warnings may quote errors, which may contain data. */
  constructor(causes: boolean) {
    this.#causes = causes;
  }

  find(tree: LiveTree): readonly Warning[] {
    const nodes = tree.suspects.nodes((parent, isWanted) => tree.findChild(parent, isWanted));
    const look = { ...tree.head, nodes: this.#causes ? nodes : nodes.map(withoutError) };
    return this.#watcher.add(look, { queued: new Map(tree.queued), groups: groupsOf(tree.places()) });
  }
}

function withoutError(node: NodeInfo): NodeInfo {
  const { survived } = node;
  return survived === undefined ? node : { ...node, survived: { ...survived, error: NOT_SHOWN } };
}

function groupsOf(places: Iterable<Place>): Summary["groups"] {
  const groups = new Map<string, NodeGroup>();
  for (const { key, name, kind, site, count, queued, oldest, members } of places) {
    if (count === queued) continue;
    groups.set(key, {
      key,
      label: site === "" ? name : site,
      count: count - queued,
      name,
      kind: kind as NodeKind,
      age: { p50: oldest, p95: oldest, p99: oldest, max: oldest },
      members: [...members],
    });
    if (groups.size === MAX_PLACES) break;
  }
  return groups;
}
