import { defineJob } from "bough/remote";

/** A part of a picture. */
export interface Tile {
  readonly picture: string;
  readonly number: number;
  /** How long rendering it takes, in ms. */
  readonly ms: number;
}

/** The job that API and workers share. */
export const renderTile = defineJob<Tile, string>("render-tile");

/** Milliseconds: how long the tiles of a dead API go on. */
export const LEASE = 2_000;

/** The messages of a process of the farm to the process that started it. */
export interface Report {
  readonly what: "ready" | "start" | "end" | "stopped";
  /** The URL of the API, when it is ready. */
  readonly url?: string;
  readonly tile?: Tile;
  readonly kind?: string;
  /** On the machine's monotonic clock, which all processes share. */
  readonly at: number;
}

export function report(what: Report["what"], more: Omit<Report, "what" | "at"> = {}): void {
  process.send?.({ what, at: machineNow(), ...more } satisfies Report);
}

export function machineNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
