import type { ShopName } from "./shops.js";

/** How a request ends, as bough sees it: answered, or why its scope was cancelled. */
export type Ending = "answered" | "deadline" | "failure" | "disconnected";

/** One client's plan. */
export interface Visit {
  /** Milliseconds after the start. */
  readonly at: number;
  readonly shops: readonly ShopName[];
  /** Milliseconds that the server has for it. */
  readonly within: number;
  /** Hangs up when so many prices are in. */
  readonly hangUpAfter?: number;
  readonly ending: Ending;
}

type Kind = Omit<Visit, "at">;

/** The ending depends on what happens, never on how fast the machine is: nobody hangs up "after 200 ms". */
const kinds: readonly Kind[] = [
  { shops: ["fast", "slow", "chunked"], within: 30_000, ending: "answered" },
  { shops: ["silent", "chunked", "slow", "fast"], within: 30_000, hangUpAfter: 1, ending: "disconnected" },
  { shops: ["silent", "slow", "fast"], within: 600, ending: "deadline" },
  { shops: ["chunked", "slow", "fast"], within: 30_000, ending: "answered" },
  { shops: ["slow", "chunked", "failing"], within: 30_000, ending: "failure" },
  { shops: ["silent", "chunked", "slow", "fast"], within: 30_000, hangUpAfter: 2, ending: "disconnected" },
];

/** The behaviour of the crowd. */
export interface Schedule {
  readonly visits: number;
  /** Milliseconds from one visit to the next. */
  readonly every: number;
  /** Milliseconds for those who let the deadline pass; default 600. */
  readonly patience?: number;
}

/**
 * The visits in the order of their time, of every kind in turn.
 *
 * @throws {RangeError} If the number of visits is not a whole number from 1.
 */
export function plan({ visits, every, patience }: Schedule): readonly Visit[] {
  if (!Number.isInteger(visits) || visits < 1) {
    throw new RangeError(`visits must be a whole number from 1, got ${visits}`);
  }
  return Array.from({ length: visits }, (_, index) => {
    const kind = kinds[index % kinds.length] as Kind;
    const within = kind.ending === "deadline" ? (patience ?? kind.within) : kind.within;
    return { ...kind, within, at: index * every };
  });
}
