import { nameOfError } from "../errors/describe.js";
import type {
  OrphanMessage,
  ScopeCancelMessage,
  ScopeCloseMessage,
  ScopeOpenMessage,
  StuckMessage,
  TaskSettleMessage,
  TaskStartMessage,
} from "../kernel/diagnostics.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { hasHandle, isTask } from "../kernel/state.js";
import { statusOf } from "../kernel/status.js";
import { nextInSubtree } from "../kernel/tree.js";
import { COPY_STEP, isReadable, knownCopies } from "../inspect/known-copies.js";
import { requestOf } from "../inspect/request-info.js";
import { NO_NAME, NameTable } from "./name-table.js";
import type { RecordingHeader } from "./recording.js";
import { endStatuses, eventTypes, RecordList, Ring, type EndStatus } from "./records.js";
import { countEnd, emptyTotals, totalsOf, type KindTotals } from "./totals.js";

// This file and what it imports also run in other processes: see agent.ts. So it takes the clocks as arguments.

/** The part of the module `node:diagnostics_channel` that is used. */
export interface ChannelModule {
  subscribe(name: string, listener: (message: unknown) => void): void;
  unsubscribe(name: string, listener: (message: unknown) => void): boolean;
}

/** Returns `undefined` if the runtime has no such module. */
export function findChannels(): ChannelModule | undefined {
  const host = (globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } }).process;
  const found = host?.getBuiltinModule?.("node:diagnostics_channel") as Partial<ChannelModule> | undefined;
  return typeof found?.subscribe === "function" ? (found as ChannelModule) : undefined;
}

/** The clocks of the process. */
export interface Clocks {
  /** Monotonic, in ms. */
  readonly now: () => number;
  /** Epoch ms. */
  readonly calendar: () => number;
}

const type = Object.fromEntries(eventTypes.map((name, number) => [name, number])) as {
  readonly [K in (typeof eventTypes)[number]]: number;
};
const SUCCEEDED = 0;

/** The share of the memory that names may take. */
const NAMES = 1 / 8;
/** The largest distance between the ids of a scope and its parent that a record can hold. */
const MAX_DISTANCE = 2 ** 32 - 1;

/** Records the messages of the diagnostics channels. Keeps numbers and names, never a scope. */
export class EventLog {
  readonly #clocks: Clocks;
  readonly #ring: Ring;
  readonly #names: NameTable;
  readonly #totals = emptyTotals();
  readonly #timeOrigin: number;
  readonly #startedAt: number;
  /** The copies of the package, by the prototype of their nodes. */
  #copies: readonly KnownCopy[] = [];
  #alive = new RecordList();
  /** The number of written records when names were last dropped. */
  #sweptAt: number | undefined;
  /** The kind of the last record, and its totals: a cache, since a program has few kinds. */
  #lastKind = "";
  #lastTotals: KindTotals | undefined;

  constructor(bytes: number, clocks: Clocks) {
    this.#clocks = clocks;
    this.#names = new NameTable(bytes * NAMES);
    this.#ring = new Ring(bytes * (1 - NAMES));
    this.#timeOrigin = clocks.now();
    this.#startedAt = clocks.calendar();
  }

  /** Subscribes to the channels. Returns the function that ends the subscriptions. */
  listen(channels: ChannelModule): () => void {
    const listeners: Readonly<Record<string, (message: never) => void>> = {
      "bough:task:start": ({ scope }: TaskStartMessage) => this.#started(scope, "task"),
      "bough:scope:open": ({ scope, kind }: ScopeOpenMessage) => this.#started(scope, kind),
      "bough:task:settle": ({ scope, error }: TaskSettleMessage) => this.#ended(scope, "task", error),
      "bough:scope:close": ({ scope, kind, error }: ScopeCloseMessage) => this.#ended(scope, kind, error),
      "bough:scope:cancel": (message: ScopeCancelMessage) => this.#cancelled(message),
      "bough:stuck": (message: StuckMessage) => this.#stuck(message),
      "bough:orphan": ({ scope }: OrphanMessage) => this.#orphaned(scope),
    };
    const entries = Object.entries(listeners) as [string, (message: unknown) => void][];
    for (const [name, listener] of entries) channels.subscribe(name, listener);
    return () => {
      for (const [name, listener] of entries) channels.unsubscribe(name, listener);
      this.#copies = [];
    };
  }

  /**
   * Records the scopes that are alive when the recording begins, since their start was published before. Uses at most
   * half of the ring.
   */
  recordFound(): void {
    const { records } = this.#ring;
    let room = Math.floor(records.length / 2);
    const time = this.#now();
    for (const [node, now] of liveNodes()) {
      if (room-- <= 0) return;
      const { name, kind } = this.#labelsOf(node);
      const age = Math.max(0, now - node.startedAt);
      const id = this.#idOf(node);
      const parent = distanceToParent(node);
      records.set(this.#ring.next(), type.found, time, id, parent, age, name, kind, NO_NAME, SUCCEEDED);
    }
  }

  /** Lists every live scope, for {@link header}. */
  recordAllAlive(): void {
    const recordAlive = this.beginAlive();
    for (const [node, now] of liveNodes()) recordAlive(node, now);
  }

  /**
   * Clears the list of live scopes. Returns a function that adds one, with the current time on the clock of its
   * `startedAt`.
   */
  beginAlive(): (node: ScopeNode, now: number) => void {
    this.#alive = new RecordList();
    const time = this.#now();
    return (node, now) => {
      if (node.parent === undefined) return;
      const { name, kind } = this.#labelsOf(node);
      const age = Math.max(0, now - node.startedAt);
      this.#alive.add(time, this.#idOf(node), distanceToParent(node), age, name, kind);
    };
  }

  /** The header of the file. */
  header(): RecordingHeader {
    const { records, written, dropped } = this.#ring;
    const oldest = dropped > 0 ? records.time(written % records.length) : 0;
    return {
      startedAt: this.#startedAt,
      from: oldest,
      takenAt: this.#now(),
      dropped: { events: dropped, names: this.#names.replaced },
      totals: structuredClone(this.#totals),
      names: this.#names.toArray(),
      alive: this.#alive.length,
      events: Math.min(written, records.length),
    };
  }

  /** The records that {@link header} counts: the live scopes, then the events. */
  records(): Uint8Array<ArrayBuffer> {
    const alive = this.#alive.copy();
    const events = this.#ring.copy();
    const all = new Uint8Array(alive.length + events.length);
    all.set(alive);
    all.set(events, alive.length);
    return all;
  }

  #now(): number {
    return this.#clocks.now() - this.#timeOrigin;
  }

  #write(what: number, node: ScopeNode, age: number, kind: string, detail: string, status: number): void {
    this.#makeRoom();
    const names = this.#names;
    const name = names.numberOf(node.name);
    const kindNumber = names.numberOf(kind);
    const detailNumber = names.numberOf(detail);
    const time = this.#now();
    const id = this.#idOf(node);
    const parent = distanceToParent(node);
    const { records } = this.#ring;
    records.set(this.#ring.next(), what, time, id, parent, age, name, kindNumber, detailNumber, status);
  }

  #labelsOf(node: ScopeNode): { readonly name: number; readonly kind: number } {
    this.#makeRoom();
    return { name: this.#names.numberOf(node.name), kind: this.#names.numberOf(kindOf(node)) };
  }

  #started(scope: Scope, kind: string): void {
    this.#totalsOf(kind).started += 1;
    this.#write(type.start, scope as ScopeNode, 0, kind, "", SUCCEEDED);
  }

  #ended(scope: Scope, kind: string, error: unknown): void {
    const node = scope as ScopeNode;
    const status = statusOf(node) as EndStatus;
    const age = Math.max(0, this.#copyOf(node).elapsed() - node.startedAt);
    countEnd(this.#totalsOf(kind), status, age);
    let detail = "";
    if (status === "failed") detail = nameOfError(error);
    else if (status === "cancelled") detail = node.reason?.kind ?? "";
    this.#write(type.end, node, age, kind, detail, endStatuses.indexOf(status));
  }

  #cancelled({ scope, reason }: ScopeCancelMessage): void {
    const { cancelled } = this.#totals;
    cancelled[reason.kind] = (cancelled[reason.kind] ?? 0) + 1;
    this.#write(type.cancel, scope as ScopeNode, 0, reason.kind, reason.by ?? "", SUCCEEDED);
  }

  #stuck({ scope, tasks }: StuckMessage): void {
    this.#totals.stuck += 1;
    this.#write(type.stuck, scope as ScopeNode, 0, "", String(tasks.length), SUCCEEDED);
  }

  #orphaned(scope: Scope): void {
    this.#totals.orphans += 1;
    this.#write(type.orphan, scope as ScopeNode, 0, "", "", SUCCEEDED);
  }

  #totalsOf(kind: string): KindTotals {
    if (kind !== this.#lastKind || this.#lastTotals === undefined) {
      this.#lastKind = kind;
      this.#lastTotals = totalsOf(this.#totals, kind);
    }
    return this.#lastTotals;
  }

  #idOf(node: ScopeNode): number {
    return node.id + this.#copyOf(node).index * COPY_STEP;
  }

  #copyOf(node: ScopeNode): KnownCopy {
    const prototype: unknown = Object.getPrototypeOf(node);
    const first = this.#copies[0];
    if (first !== undefined && first.prototype === prototype) return first;
    const known = this.#copies.find((copy) => copy.prototype === prototype);
    if (known !== undefined) return known;
    this.#copies = knownCopies().map(({ root, elapsed }, index) => {
      return { index, elapsed, prototype: Object.getPrototypeOf(root) as unknown };
    });
    return this.#copies.find((copy) => copy.prototype === prototype) ?? unknownCopy;
  }

  /** Drops the names of overwritten records, at most once while an eighth of the ring is written. */
  #makeRoom(): void {
    if (!this.#names.isFull) return;
    const { written, records } = this.#ring;
    if (this.#sweptAt !== undefined && written - this.#sweptAt < records.length / 8) return;
    this.#sweptAt = written;
    const isUsed = new Uint8Array(2 ** 16);
    this.#ring.markNames(isUsed);
    this.#alive.markNames(isUsed);
    this.#names.sweep(isUsed);
  }
}

interface KnownCopy {
  readonly index: number;
  readonly prototype: unknown;
  readonly elapsed: () => number;
}

/** If globals are frozen, the copies of the package are not registered. */
const unknownCopy: KnownCopy = { index: 0, prototype: undefined, elapsed: () => 0 };

/** Yields every live node, with the current time on the clock of its `startedAt`. */
function* liveNodes(): Generator<readonly [ScopeNode, number], void, void> {
  for (const { root, elapsed } of knownCopies().filter(isReadable)) {
    const now = elapsed();
    let at = nextInSubtree(root, root, false);
    for (; at !== undefined; at = nextInSubtree(root, at, false)) yield [at, now];
  }
}

function distanceToParent({ id, parent }: ScopeNode): number {
  if (parent?.parent === undefined) return 0; // a root
  return Math.min(id - parent.id, MAX_DISTANCE);
}

/** The kind of a scope whose start was not recorded. Only a few kinds can be distinguished. */
function kindOf(node: ScopeNode): string {
  const published = node.extras?.kind;
  if (published !== undefined) return published;
  if (requestOf(node) !== undefined) return "request";
  if (isTask(node)) return "task";
  return hasHandle(node) ? "handle" : "scope";
}
