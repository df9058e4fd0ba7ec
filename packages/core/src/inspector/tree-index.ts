import type { Look, NodeInfo } from "../inspect/index.js";
import { shortSite } from "../inspect/groups.js";
import { patternOf, similarityKey } from "../inspect/similar.js";
import { inSlices } from "./slices.js";

/** How many there are. */
export interface Counts {
  scopes: number;
  tasks: number;
  requests: number;
  queued: number;
  cancelling: number;
  holding: number;
  failures: number;
}

/** Scopes that are alike: of one kind and name, but for the digits, from one line, in one state, with one wait. */
export interface Group {
  readonly key: string;
  readonly first: NodeInfo;
  readonly name: string;
  count: number;
  oldest: number;
  /** A sample. */
  readonly ages: number[];
}

/** How many ages of a group the percentiles are taken from. */
const SAMPLE = 512;

/** One look, by the questions that a page asks. Made in slices: the tree may have a million scopes. */
export class TreeIndex {
  readonly look: Look;
  readonly byId: Map<number, NodeInfo> = new Map();
  readonly roots: NodeInfo[] = [];
  /** By the `id` of the parent and the key of the group: similar siblings. */
  readonly families: Map<number, Map<string, NodeInfo[]>> = new Map();
  readonly groups: Map<string, Group> = new Map();
  readonly requests: NodeInfo[] = [];
  readonly counts: Counts = {
    scopes: 0,
    tasks: 0,
    requests: 0,
    queued: 0,
    cancelling: 0,
    holding: 0,
    failures: 0,
  };

  private constructor(look: Look) {
    this.look = look;
  }

  static async of(look: Look): Promise<TreeIndex> {
    const index = new TreeIndex(look);
    await inSlices(look.nodes, (node) => index.#add(node));
    return index;
  }

  /** The children of a node, similar ones together. */
  family(node: NodeInfo): ReadonlyMap<string, readonly NodeInfo[]> {
    return this.families.get(node.id) ?? new Map();
  }

  childCount(node: NodeInfo): number {
    let count = 0;
    for (const members of this.family(node).values()) count += members.length;
    return count;
  }

  #add(node: NodeInfo): void {
    this.byId.set(node.id, node);
    this.#count(node);
    if (node.kind === "request") this.requests.push(node);
    const key = similarityKey(node);
    if (node.kind !== "background") this.#addToGroup(key, node);
    // Parents come first, so that a parent that is not known is above the scope that is looked at.
    if (node.parent === undefined || !this.byId.has(node.parent)) return void this.roots.push(node);
    let family = this.families.get(node.parent);
    if (family === undefined) this.families.set(node.parent, (family = new Map<string, NodeInfo[]>()));
    const members = family.get(key);
    if (members === undefined) family.set(key, [node]);
    else members.push(node);
  }

  #count(node: NodeInfo): void {
    const { counts } = this;
    if (node.kind === "background") return;
    counts.scopes++;
    if (node.kind === "task") counts.tasks++;
    if (node.kind === "request") counts.requests++;
    if (node.status === "queued") counts.queued++;
    if (node.state === "cancelling") counts.cancelling++;
    if (node.waitingForCleanup) counts.holding++;
    counts.failures += node.failures;
  }

  #addToGroup(key: string, node: NodeInfo): void {
    const group = this.groups.get(key);
    if (group === undefined) {
      const ages = [node.age];
      this.groups.set(key, { key, first: node, name: patternOf(node), count: 1, oldest: node.age, ages });
      return;
    }
    group.count++;
    group.oldest = Math.max(group.oldest, node.age);
    if (group.ages.length < SAMPLE) group.ages.push(node.age);
    else if (Math.random() * group.count < SAMPLE) group.ages[Math.floor(Math.random() * SAMPLE)] = node.age;
  }
}

/** Where a scope was spawned: `src/orders.ts:88`. */
export const siteOf = (node: NodeInfo): string =>
  node.spawnedAt === undefined ? "" : shortSite(node.spawnedAt);
