import { waitLabel, type Look, type NodeInfo, type Warning } from "../inspect/index.js";
import { shortSite } from "../inspect/groups.js";
import { realNow } from "../kernel/platform.js";
import type { Activity } from "./activity.js";
import type { Counts, LiveTree } from "./live-tree.js";
import { inSlices } from "./slices.js";
import { waitOf } from "../inspect/similar.js";
import type { PlaceHistory } from "./place-history.js";
import {
  currentInfo,
  nameOf,
  siteOf,
  withoutQuery,
  type Entry,
  type Group,
  type Place,
} from "./tree-entry.js";

/** A scope as a row of a list. */
export interface NodeRow {
  readonly id: number;
  readonly name: string;
  readonly kind: string;
  /** Its state, and its waits as text. */
  readonly state: string;
  readonly wait: string;
  readonly age: number;
  /** Milliseconds until its own deadline; negative after it. */
  readonly left?: number;
  readonly site: string;
  readonly status?: number;
  readonly note?: string;
  readonly failures: number;
  readonly holding: boolean;
}

/** The data that every open page receives once a second. */
export interface Frame {
  readonly at: number;
  /** How long this look has blocked the process in all, in ms, if it is known. */
  readonly spent?: number;
  readonly counts: Counts;
  readonly loopDelay?: Look["loopDelay"];
  readonly blockedIn?: string;
  readonly warnings: readonly WarningRow[];
  /** Present if there are too many suspects to judge all of them. */
  readonly partial?: true;
  readonly groups: readonly GroupRow[];
  /** The number of places that are not in the list. */
  readonly moreGroups: number;
  /** The rates per second; absent if the source does not record them. */
  readonly rates?: Rates;
}

interface Rates {
  readonly created: number;
  readonly settled: number;
}

/** A warning as the page shows it. */
export interface WarningRow {
  readonly code: string;
  readonly title: string;
  readonly detail: readonly string[];
  /** The first scope concerned. */
  readonly id?: number;
}

type Percentiles = readonly [p50: number, p95: number, p99: number];

/** A place as a row of a list. */
interface GroupRow {
  readonly key: string;
  readonly name: string;
  readonly kind: string;
  readonly site: string;
  /** The number of live scopes, and how many of them are queued. */
  readonly count: number;
  readonly queued: number;
  /** The most frequent states and waits: `3,410 sleep, 2 cancelling`. */
  readonly doing: string;
  readonly oldest: number;
  readonly age?: Percentiles;
  readonly rates?: Rates;
  /** The totals since a page was opened. */
  readonly created?: number;
  readonly settled?: number;
  /** The lifetimes of the scopes that have settled in the last minute. */
  readonly life?: Percentiles;
}

/** How many places are listed for live scopes, and as many more for settled ones. */
const MAX_GROUPS = 100;
const SHARES = [0.5, 0.95, 0.99] as const;

/** The row of a scope. It contains nothing that may hold a value: no causes, no data of integrations. */
export function nodeRow(entry: Entry, at: number): NodeRow {
  const node = currentInfo(entry);
  const { id, kind, age, ownDeadline, note, failures, request, waitingForCleanup } = node;
  return {
    id,
    name: nameOf(node),
    kind: node.daemon === true ? "daemon" : kind,
    state: stateOf(node),
    wait: node.waits?.map(waitLabel).join(" · ") ?? (node.joining === true ? "join of its children" : ""),
    age,
    ...(ownDeadline === undefined ? {} : { left: ownDeadline - at }),
    site: siteOf(node),
    ...(request?.status === undefined ? {} : { status: request.status }),
    ...(note === undefined ? {} : { note }),
    failures,
    holding: waitingForCleanup,
  };
}

/** The state of a scope. Empty for one that is open and running. */
export function stateOf(node: NodeInfo): string {
  if (node.state === "open") return node.status === "queued" ? "queued" : "";
  return node.reason === undefined ? node.state : `${node.state} (${node.reason.kind})`;
}

export function warningRow({ code, title, detail, nodes: [id] }: Warning): WarningRow {
  return {
    code,
    title: withoutQuery(title),
    detail: detail.map((line) => withoutQuery(line.replace(/file:\/\/\S+/g, shortSite))),
    ...(id === undefined ? {} : { id }),
  };
}

/** @param activity - The activity of the process, if the source records it. */
export async function frameOf(
  tree: LiveTree,
  warnings: readonly Warning[],
  activity: Activity | undefined,
): Promise<Frame> {
  const { head, counts, suspects } = tree;
  const now = realNow();
  const { rows, more } = await groupRows(tree, activity, now);
  return {
    at: head.at,
    ...(head.spent === undefined ? {} : { spent: rounded(head.spent) }),
    counts: { ...counts },
    ...(head.loopDelay === undefined ? {} : { loopDelay: head.loopDelay }),
    ...(head.blockedIn === undefined ? {} : { blockedIn: head.blockedIn }),
    warnings: warnings.map(warningRow),
    ...(suspects.isComplete ? {} : { partial: true }),
    groups: rows,
    moreGroups: more,
    ...(activity === undefined ? {} : { rates: totals(activity, now) }),
  };
}

function totals(activity: Activity, now: number): Rates {
  const sum = { created: 0, settled: 0 };
  for (const history of activity.histories()) {
    const { created, settled } = history.rates(now);
    sum.created += created;
    sum.settled += settled;
  }
  return { created: rounded(sum.created), settled: rounded(sum.settled) };
}

/** The places with the most live scopes, and those with the most settled ones. */
async function groupRows(
  tree: LiveTree,
  activity: Activity | undefined,
  now: number,
): Promise<{ rows: GroupRow[]; more: number }> {
  const largest = new Largest<Place>(MAX_GROUPS, (a, b) => b.count - a.count || b.oldest - a.oldest);
  let alive = 0;
  await inSlices(tree.places(), (place) => {
    alive++;
    largest.add(place);
  });
  const shown = new Map(largest.items.map((place) => [place.key, place]));
  const doing = await doingAt(tree, shown);
  const rows = largest.items.map((place) => placeRow(place, doing.get(place.key) ?? "", activity, now));
  const busiest = new Largest<PlaceHistory>(MAX_GROUPS, (a, b) => b.settled - a.settled);
  for (const history of activity?.histories() ?? [])
    if (!shown.has(history.key) && history.hasSettled(now)) busiest.add(history);
  for (const history of busiest.items) {
    const { key, name, kind, site } = history;
    const none = { key, name, kind, site, count: 0, queued: 0, doing: "", oldest: 0 };
    rows.push({ ...none, ...historyFields(history, now) });
  }
  return { rows, more: alive - largest.items.length };
}

/** The states and waits of the members of these places, by the key of the place. */
async function doingAt(tree: LiveTree, shown: ReadonlyMap<string, Place>): Promise<Map<string, string>> {
  const groups = new Map<string, Largest<Group>>();
  await inSlices(tree.groups(), (group) => {
    const { key } = group.place;
    if (!shown.has(key)) return;
    let largest = groups.get(key);
    if (largest === undefined)
      groups.set(key, (largest = new Largest<Group>(MAX_DOING, (a, b) => b.count - a.count)));
    largest.add(group);
  });
  return new Map(Array.from(groups, ([key, { items }]) => [key, items.map(doingOf).join(", ")]));
}

/** How many states and waits of a place are listed. */
const MAX_DOING = 4;

/** Created once: `toLocaleString` takes forty times as long. */
const inEnglish = new Intl.NumberFormat("en");

function doingOf({ count, sample }: Group): string {
  const words = [stateOf(sample), waitOf(sample)].filter((word) => word !== "").join(" · ");
  return `${inEnglish.format(count)} ${words === "" ? "running" : words}`;
}

function placeRow(place: Place, doing: string, activity: Activity | undefined, now: number): GroupRow {
  const { key, name, kind, site, count, queued, oldest, ages } = place;
  const history = activity?.history(key);
  return {
    key,
    name,
    kind,
    site,
    count,
    queued,
    doing,
    oldest,
    ...(ages === undefined ? {} : { age: ages.percentiles(SHARES).map(rounded) as [number, number, number] }),
    ...(history === undefined ? {} : historyFields(history, now)),
  };
}

function historyFields(
  history: PlaceHistory,
  now: number,
): Pick<GroupRow, "created" | "settled" | "rates" | "life"> {
  const { created, settled } = history;
  const rates = history.rates(now);
  const life = history.lifetimes(now, SHARES)?.map(rounded) as [number, number, number] | undefined;
  return {
    created,
    settled,
    rates: { created: rounded(rates.created), settled: rounded(rates.settled) },
    ...(life === undefined ? {} : { life }),
  };
}

/** Rounds to three digits, which is enough for display. */
const rounded = (value: number): number => Number(value.toPrecision(3));

/** Keeps the first `size` items by an order. */
class Largest<T> {
  items: T[] = [];
  readonly #size: number;
  readonly #compare: (a: T, b: T) => number;

  constructor(size: number, compare: (a: T, b: T) => number) {
    this.#size = size;
    this.#compare = compare;
  }

  add(item: T): void {
    const { items } = this;
    const last = items.at(-1);
    if (items.length === this.#size && last !== undefined && this.#compare(item, last) >= 0) return;
    let at = items.length;
    while (at > 0 && this.#compare(item, items[at - 1] as T) < 0) at--;
    items.splice(at, 0, item);
    if (items.length > this.#size) items.pop();
  }
}
