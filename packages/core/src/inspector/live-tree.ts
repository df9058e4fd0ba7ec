import type { NodeInfo } from "../inspect/index.js";
import { LogHistogram } from "./log-histogram.js";
import type { LookSummary, PageSource } from "./page-source.js";
import { similarityKey } from "../inspect/similar.js";
import { suspicionOf } from "../inspect/warning-rules.js";
import { inSlices } from "./slices.js";
import { Suspects } from "./suspects.js";
import {
  copyOf,
  isSame,
  placeOf,
  type Entry,
  type SiblingGroup,
  type Group,
  type Place,
} from "./tree-entry.js";

const noCounts = {
  scopes: 0,
  tasks: 0,
  requests: 0,
  queued: 0,
  cancelling: 0,
  holding: 0,
  failures: 0,
};

/** The counts of a tree. */
export type Counts = typeof noCounts;

/** How many running requests are listed. */
const MAX_REQUESTS = 200;
/** How many members of a place are listed. */
const MAX_MEMBERS = 100;
/** How many places have percentiles. If all names differ, each scope is a place. */
const MAX_HISTOGRAMS = 500;

/**
 * A tree that is updated by each look, with the indexes that a page needs. A scope that has not changed keeps its
 * objects. A hundred thousand new objects in each look would be copied by the garbage collector, which would block the
 * process for tens of milliseconds.
 *
 * Each counter stores the number of the look that it belongs to. The next look resets it on first use.
 */
export class LiveTree {
  head: LookSummary = { at: 0 };
  readonly counts: Counts = { ...noCounts };
  readonly byId: Map<number, Entry> = new Map();
  /** The number of queued children of a scope, by its id. */
  readonly queued: Map<number, number> = new Map();
  /** The roots, in spawn order. */
  readonly roots: Entry[] = [];
  /** The oldest running requests, in spawn order. */
  readonly requests: Entry[] = [];
  readonly suspects: Suspects = new Suspects();
  readonly #groups = new Map<string, Group>();
  readonly #places = new Map<string, Place>();
  readonly #siblingGroups = new Set<SiblingGroup>();
  #histograms = 0;
  #look = 0;
  #count = 0;

  /** Takes a look. The tree must not be read until it has finished. */
  async update(source: PageSource): Promise<void> {
    this.#look++;
    this.#count = 0;
    Object.assign(this.counts, noCounts);
    this.queued.clear();
    this.roots.length = 0;
    this.requests.length = 0;
    this.suspects.clear();
    this.head = await this.#read(source);
    if (this.#count < this.byId.size)
      await inSlices(this.byId.values(), (entry) => {
        if (entry.look === this.#look) return;
        this.byId.delete(entry.info.id);
      });
    await this.#removeEnded();
  }

  /** The groups of similar children of a scope, in the order of their first members. */
  siblingGroups(parent: Entry): SiblingGroup[] {
    const { siblingGroups } = parent;
    if (siblingGroups === undefined) return [];
    return [...siblingGroups.values()].sort((a, b) => firstOf(a).info.id - firstOf(b).info.id);
  }

  childCount(parent: Entry): number {
    let count = 0;
    for (const siblingGroup of parent.siblingGroups?.values() ?? []) count += siblingGroup.count;
    return count;
  }

  /** Returns the first child for which `isWanted` is true. */
  findChild(parent: Entry, isWanted: (child: Entry) => boolean): Entry | undefined {
    for (const siblingGroup of parent.siblingGroups?.values() ?? [])
      for (let at = siblingGroup.first; at !== undefined; at = at.next) if (isWanted(at)) return at;
    return undefined;
  }

  places(): Iterable<Place> {
    return this.#places.values();
  }

  groups(): Iterable<Group> {
    return this.#groups.values();
  }

  async #read(source: PageSource): Promise<LookSummary> {
    if (source.read !== undefined)
      return source.read((nodes) => {
        for (const node of nodes) this.#add(node);
      });
    const { nodes, ...head } = await source.look();
    await inSlices(nodes, (node) => this.#add(node));
    return head;
  }

  /** Removes sibling groups, groups and places without a member in this look. */
  async #removeEnded(): Promise<void> {
    await inSlices(this.#siblingGroups, (siblingGroup) => {
      if (siblingGroup.look === this.#look) return;
      this.#siblingGroups.delete(siblingGroup);
      siblingGroup.parent?.siblingGroups?.delete(siblingGroup.group);
    });
    await inSlices(this.#groups.values(), ({ key, look }) => {
      if (look !== this.#look) this.#groups.delete(key);
    });
    await inSlices(this.#places.values(), ({ key, look, ages }) => {
      if (look === this.#look) return;
      this.#places.delete(key);
      if (ages !== undefined) this.#histograms--;
    });
  }

  #add(node: NodeInfo): void {
    let entry = this.byId.get(node.id);
    if (entry?.look === this.#look) return; // two copies of the package may use the same ids
    if (entry === undefined) {
      entry = this.#createEntry(node);
    } else if (!isSame(entry.info, node)) {
      entry.info = copyOf(node);
      entry.suspicion = suspicionOf(node);
      entry.siblingGroup = this.#siblingGroupOf(entry.parent, node);
    }
    entry.age = node.age;
    entry.look = this.#look;
    this.#count++;
    this.#addToSiblingGroup(entry);
    if (node.kind !== "background") this.#countEntry(entry);
    if (entry.parent === undefined) this.roots.push(entry);
  }

  #createEntry(info: NodeInfo): Entry {
    // Parents come first. So an unknown parent is above the root of the look.
    const parent = info.parent === undefined ? undefined : this.byId.get(info.parent);
    const siblingGroup = this.#siblingGroupOf(parent, info);
    const entry: Entry = {
      parent,
      info: copyOf(info),
      age: info.age,
      suspicion: suspicionOf(info),
      look: 0,
      siblingGroup,
      next: undefined,
      siblingGroups: undefined,
    };
    this.byId.set(info.id, entry);
    return entry;
  }

  #siblingGroupOf(parent: Entry | undefined, node: NodeInfo): SiblingGroup {
    const group = this.#groupOf(node);
    const known = parent?.siblingGroups?.get(group);
    if (known !== undefined) return known;
    const siblingGroup = { group, parent, look: 0, count: 0, first: undefined, last: undefined };
    this.#siblingGroups.add(siblingGroup);
    if (parent !== undefined)
      (parent.siblingGroups ??= new Map<Group, SiblingGroup>()).set(group, siblingGroup);
    return siblingGroup;
  }

  #groupOf(node: NodeInfo): Group {
    const key = similarityKey(node);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { key, place: this.#placeOf(placeOf(node)), sample: node, look: 0, count: 0 };
      this.#groups.set(key, group);
    }
    return group;
  }

  #placeOf(place: ReturnType<typeof placeOf>): Place {
    let known = this.#places.get(place.key);
    if (known === undefined) {
      known = { ...place, look: 0, count: 0, queued: 0, oldest: 0, members: [], ages: undefined };
      this.#places.set(place.key, known);
    }
    return known;
  }

  /** Appends an entry to its sibling group. */
  #addToSiblingGroup(entry: Entry): void {
    const { siblingGroup } = entry;
    entry.next = undefined;
    if (siblingGroup.look === this.#look) (siblingGroup.last as Entry).next = entry;
    else {
      siblingGroup.look = this.#look;
      siblingGroup.count = 0;
      siblingGroup.first = entry;
    }
    siblingGroup.count++;
    siblingGroup.last = entry;
  }

  #countEntry(entry: Entry): void {
    const { info, siblingGroup, suspicion } = entry;
    const { group } = siblingGroup;
    if (suspicion !== undefined) this.suspects.add(entry, suspicion);
    if (group.look !== this.#look) {
      group.look = this.#look;
      group.count = 0;
      group.sample = info;
    }
    group.count++;
    this.#countAt(group.place, entry);
    const { counts } = this;
    counts.scopes++;
    if (info.kind === "task") counts.tasks++;
    if (info.kind === "request") {
      counts.requests++;
      if (this.requests.length < MAX_REQUESTS) this.requests.push(entry);
    }
    if (info.status === "queued") {
      counts.queued++;
      if (info.parent !== undefined) this.queued.set(info.parent, (this.queued.get(info.parent) ?? 0) + 1);
    }
    if (info.state === "cancelling") counts.cancelling++;
    if (info.waitingForCleanup) counts.holding++;
    counts.failures += info.failures;
  }

  #countAt(place: Place, { info, age }: Entry): void {
    if (place.look !== this.#look) {
      place.look = this.#look;
      place.count = 0;
      place.queued = 0;
      place.oldest = 0;
      place.members.length = 0;
      place.ages?.clear();
    }
    place.count++;
    place.oldest = Math.max(place.oldest, age);
    if (info.status === "queued") place.queued++;
    else if (place.members.length < MAX_MEMBERS) place.members.push(info.id);
    if (place.ages === undefined && place.count > 1 && this.#histograms < MAX_HISTOGRAMS) {
      place.ages = new LogHistogram();
      this.#histograms++;
    }
    place.ages?.add(age);
  }
}

/** The first member. A sibling group of the current look has one. */
export const firstOf = (siblingGroup: SiblingGroup): Entry => siblingGroup.first as Entry;
