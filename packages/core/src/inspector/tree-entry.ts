import type { NodeInfo, WaitInfo } from "../inspect/index.js";
import { shortSite } from "../inspect/groups.js";
import { patternOfName } from "../inspect/similar.js";
import type { Suspicion } from "../inspect/warning-rules.js";
import type { LogHistogram } from "./log-histogram.js";

/** A live scope, kept from look to look. */
export interface Entry {
  readonly parent: Entry | undefined;
  /** The latest description. A scope that does not change keeps its description. */
  info: NodeInfo;
  /** The age at the last look, in ms. */
  age: number;
  /** Why a warning may report it. */
  suspicion: Suspicion | undefined;
  /** The number of the last look that contained it. */
  look: number;
  siblingGroup: SiblingGroup;
  /** The next similar sibling, in spawn order. */
  next: Entry | undefined;
  /** Its children by group. May contain groups of earlier looks. */
  siblingGroups: Map<Group, SiblingGroup> | undefined;
}

/** Similar siblings. */
export interface SiblingGroup {
  readonly group: Group;
  readonly parent: Entry | undefined;
  look: number;
  count: number;
  first: Entry | undefined;
  last: Entry | undefined;
}

/** Similar scopes: the same kind, name (except for digits), line, state and wait. */
export interface Group {
  readonly key: string;
  readonly place: Place;
  /** One of the scopes. */
  sample: NodeInfo;
  look: number;
  count: number;
}

/** Scopes with the same kind, name (except for digits) and line. */
export interface Place {
  readonly key: string;
  readonly name: string;
  readonly kind: string;
  readonly site: string;
  look: number;
  count: number;
  queued: number;
  oldest: number;
  /** The ids of some running members. */
  readonly members: number[];
  ages: LogHistogram | undefined;
}

/** The call site that spawned a scope: `src/orders.ts:88`. */
export const siteOf = (node: NodeInfo): string =>
  node.spawnedAt === undefined ? "" : shortSite(node.spawnedAt);

/** Data of integrations may be nested to any depth. */
const MAX_DEPTH = 4;

/** The name of a scope, without a query string. */
export function nameOf(node: NodeInfo): string {
  if (node.request !== undefined) return `${node.request.method} ${node.request.route}`;
  return withoutQuery(node.name);
}

/** Removes the query string from a name, since scopes may be named after a URL. */
export const withoutQuery = (name: string): string => name.replace(/(\/[^\s?]*)\?\S*/g, "$1");

/** The properties that all scopes of a place share. */
export function placeOf(node: NodeInfo): Pick<Place, "key" | "name" | "kind" | "site"> {
  const name = patternOfName(nameOf(node));
  const kind = node.daemon === true ? "daemon" : node.kind;
  const site = siteOf(node);
  return { key: placeKey(name, kind, site), name, kind, site };
}

export const placeKey = (name: string, kind: string, site: string): string =>
  `${name}\u0000${kind}\u0000${site}`;

/** The description of a scope, with the age and the remaining times at the last look. */
export function currentInfo({ info, age }: Entry): NodeInfo {
  const passed = age - info.age;
  if (passed === 0) return info;
  const waits = info.waits?.map((wait) =>
    wait.left === undefined ? wait : { ...wait, left: Math.max(0, wait.left - passed) },
  );
  return { ...info, age, ...(waits === undefined ? {} : { waits }) };
}

/**
 * Returns a copy to keep. The descriptions themselves must die young. If most objects from an allocation site survive,
 * V8 allocates them in the old space, and each look would fill it.
 */
export const copyOf = (node: NodeInfo): NodeInfo => copyPlain(node, 0) as NodeInfo;

function copyPlain(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null || depth === MAX_DEPTH) return value;
  if (Array.isArray(value)) return value.map((each) => copyPlain(each, depth + 1));
  const copy: Record<string, unknown> = {};
  for (const name in value) copy[name] = copyPlain((value as Record<string, unknown>)[name], depth + 1);
  return copy;
}

/** Two waits are the same if their ends differ by at most this, in ms. */
const TOLERANCE = 50;

/** Whether only the age of a scope has changed. Creates no objects, since it runs for every scope in every look. */
export function isSame(before: NodeInfo, after: NodeInfo): boolean {
  let names = 0;
  for (const name in after) {
    names++;
    const key = name as keyof NodeInfo;
    if (after[key] === before[key] || key === "age") continue;
    if (key === "waits") {
      if (!areSameWaits(before.waits, after.waits, after.age - before.age)) return false;
    } else if (!isEqual(before[key], after[key], 0)) return false;
  }
  for (const _ in before) names--;
  return names === 0;
}

function areSameWaits(
  before: readonly WaitInfo[] | undefined,
  after: readonly WaitInfo[] | undefined,
  passed: number,
): boolean {
  if (before === undefined || after === undefined || before.length !== after.length) return false;
  for (let index = 0; index < after.length; index++) {
    const one = before[index] as WaitInfo;
    const other = after[index] as WaitInfo;
    if (one.operation !== other.operation || one.position !== other.position || one.of !== other.of)
      return false;
    if (!isEqual(one.heldBy, other.heldBy, 0)) return false;
    if ((one.left === undefined) !== (other.left === undefined)) return false;
    if (Math.abs((one.left ?? 0) - (other.left ?? 0) - (one.left === undefined ? 0 : passed)) > TOLERANCE)
      return false;
  }
  return true;
}

/** Compares plain data. */
function isEqual(a: unknown, b: unknown, depth: number): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (depth === MAX_DEPTH) return false;
  let names = 0;
  for (const name in b) {
    names++;
    const one = (a as Record<string, unknown>)[name];
    if (!isEqual(one, (b as Record<string, unknown>)[name], depth + 1)) return false;
  }
  for (const _ in a) names--;
  return names === 0;
}
