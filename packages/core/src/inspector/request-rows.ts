import { realNow } from "../kernel/platform.js";
import type { Activity } from "./activity.js";
import type { LiveTree } from "./live-tree.js";
import type { RequestTrace } from "./request-traces.js";
import { withoutQuery } from "./tree-entry.js";
import { nodeRow, type NodeRow } from "./page-data.js";

/** How many bars are sent of a request that is closed on the page. */
const MAX_CLOSED_BARS = 6;

/**
 * A scope below a request: its name, depth, start, end (`null` while it runs) and outcome. Times are in ms since the
 * request began.
 */
type BarRow = readonly [name: string, depth: number, from: number, to: number | null, outcome: string];

/** A request that has ended. */
interface RequestRow {
  readonly id: number;
  readonly name: string;
  readonly status?: number;
  readonly outcome: string;
  /** How long ago it ended, in ms. */
  readonly ago: number;
  readonly took: number;
  readonly bars: readonly BarRow[];
  /** The number of scopes below it without a bar. */
  readonly moreBars: number;
}

/** The requests of a process. The ended ones are absent if the source does not record them. */
export interface RequestRows {
  readonly running: readonly NodeRow[];
  readonly last?: readonly RequestRow[];
  readonly slowest?: readonly RequestRow[];
  /** One in this many requests is followed. */
  readonly stride?: number;
}

/** @param opened - The ids of the requests that are open on the page: all their bars are sent. */
export function requestRows(
  tree: LiveTree,
  activity: Activity | undefined,
  opened: ReadonlySet<string>,
): RequestRows {
  const now = realNow();
  const toRow = (trace: RequestTrace): RequestRow => rowOf(trace, now, opened.has(String(trace.id)));
  return {
    running: tree.requests.map((entry) => nodeRow(entry, tree.head.at)).sort((a, b) => b.age - a.age),
    ...(activity === undefined
      ? {}
      : {
          last: activity.requests.last().map(toRow),
          slowest: activity.requests.slowest().map(toRow),
          stride: activity.requestStride,
        }),
  };
}

function rowOf(
  { id, begun, took = 0, ending, bars, dropped }: RequestTrace,
  now: number,
  all: boolean,
): RequestRow {
  const shown = all ? bars : bars.slice(0, MAX_CLOSED_BARS);
  return {
    id,
    name: ending?.name ?? "",
    ...(ending?.status === undefined ? {} : { status: ending.status }),
    outcome: ending?.outcome ?? "",
    ago: Math.round(now - begun - took),
    took: rounded(took),
    bars: shown.map(({ name, depth, from, to, outcome }) => [
      withoutQuery(name),
      depth,
      rounded(from),
      to === undefined ? null : rounded(to),
      outcome,
    ]),
    moreBars: bars.length - shown.length + dropped,
  };
}

const rounded = (ms: number): number => Math.round(ms * 100) / 100;
