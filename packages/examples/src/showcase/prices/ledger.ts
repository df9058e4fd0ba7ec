import type { CancelKind, Scope } from "bough";
import type { Sight } from "./crowd.js";
import { shopNames } from "./shops.js";

/** How one call to a shop stands, or ended: `failed`, or the kind of its cancellation. */
type CallState = "running" | "answered" | "failed" | CancelKind;

/** One request to the comparison. */
export interface Entry {
  readonly id: number;
  readonly since: number;
  readonly within: number;
  readonly calls: Map<string, CallState>;
}

/** A request that has ended, and why. */
export interface Ended {
  readonly entry: Entry;
  readonly ending: "answered" | CancelKind;
  readonly why: string;
  /** Milliseconds. */
  readonly took: number;
}

/** The record of one shop. */
export interface Books {
  /** Sockets that are open, as the shop sees it. */
  sockets: () => number;
  /** Calls to it that are alive, as the comparison sees it. */
  tasks: number;
  /** Calls that have ended, by how. */
  readonly ended: Map<CallState, number>;
  /** Requests that reached it. */
  served: number;
  /** Requests that it lost: the socket was closed before it had answered. */
  hungUp: number;
}

const RECENT = 12;

/** Counts what happens, for the screen and for the checks. It takes part in nothing. */
export class Ledger {
  readonly running = new Set<Entry>();
  readonly recent: Ended[] = [];
  readonly endings = new Map<Ended["ending"], number>();
  readonly sights = new Map<Sight, number>();
  readonly #shops = new Map<string, Books>();
  #opened = 0;

  constructor() {
    for (const name of shopNames) {
      this.#shops.set(name, { sockets: () => 0, tasks: 0, ended: new Map(), served: 0, hungUp: 0 });
    }
  }

  shop(name: string): Books {
    const books = this.#shops.get(name);
    if (books === undefined) throw new RangeError(`No such shop: ${JSON.stringify(name)}`);
    return books;
  }

  /** All shops together. */
  total(count: (books: Books) => number): number {
    return [...this.#shops.values()].reduce((sum, books) => sum + count(books), 0);
  }

  /** @throws {RangeError} If one of the shops does not exist. */
  open(names: readonly string[], deadline: number | undefined): Entry {
    for (const name of names) this.shop(name);
    const id = (this.#opened += 1);
    const within = deadline === undefined ? Infinity : Math.round(deadline - Date.now());
    const entry = { id, since: performance.now(), within, calls: new Map<string, CallState>() };
    this.running.add(entry);
    return entry;
  }

  /** The scope of a request has ended, and with it all its calls. */
  close(entry: Entry, { reason }: Scope): void {
    this.running.delete(entry);
    const ending = reason?.kind ?? "answered";
    increment(this.endings, ending);
    const took = performance.now() - entry.since;
    this.recent.unshift({ entry, ending, why: describe(reason), took });
    this.recent.length = Math.min(this.recent.length, RECENT);
  }

  openCall(entry: Entry, name: string): void {
    entry.calls.set(name, "running");
    this.shop(name).tasks += 1;
  }

  closeCall(entry: Entry, { name, errors, reason }: Scope): void {
    const state = errors.length > 0 ? "failed" : (reason?.kind ?? "answered");
    const books = this.shop(name);
    entry.calls.set(name, state);
    books.tasks -= 1;
    increment(books.ended, state);
  }

  /** Records the result for a client. */
  seen(sight: Sight): void {
    increment(this.sights, sight);
  }
}

function increment<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function describe(reason: Scope["reason"]): string {
  if (reason === undefined) return "all prices";
  if (reason.kind === "deadline") return "out of time";
  if (reason.kind === "disconnected") return "the client hung up";
  return reason.cause instanceof Error ? reason.cause.message : reason.kind;
}
