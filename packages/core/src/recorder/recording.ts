import { endStatuses, eventTypes, RecordBuffer, type EndStatus, type EventType } from "./records.js";
import type { Totals } from "./totals.js";

/** What a file says of its records. */
export interface RecordingHeader {
  readonly startedAt: number;
  readonly from: number;
  readonly takenAt: number;
  readonly dropped: { readonly events: number; readonly names: number };
  readonly totals: Totals;
  readonly names: readonly string[];
  readonly alive: number;
  readonly events: number;
}

/** Something that has happened to a scope. Times are in ms since the recording began. */
export interface RecordedEvent {
  /**
   * - `found`: it was alive when the recording began
   * - `start`, `end`: it has started, or settled
   * - `cancel`: it was cancelled, with everything below it
   * - `stuck`: its grace period is over and something has not ended
   * - `orphan`: its owner handle was collected
   * - `alive`: it was alive when the recording was taken
   */
  readonly type: EventType;
  /** When, in ms since the recording began. */
  readonly time: number;
  /** The `id` of the scope. */
  readonly id: number;
  /** The `id` of the scope above it; absent for a root. */
  readonly parent?: number;
  /** The name of the scope. */
  readonly name: string;
  /** What has made it: `task`, `request`, `withScope` … Of a cancellation, the kind of its reason. */
  readonly kind: string;
  /** How old the scope was, in ms, where that is known: of `found`, `end` and `alive`. */
  readonly age?: number;
  /** Of `end`. */
  readonly status?: EndStatus;
  /**
   * Of an `end` with a failure, the name of the error, and of one with a cancellation, the kind of the reason. Of `cancel`,
   * where `cancel()` was called, if tracing was on. Of `stuck`, how many tasks have not ended.
   */
  readonly detail?: string;
}

/** What a recorder has kept: the last events, and what was alive when it was taken. */
export interface Recording {
  /** When the recording began, in epoch ms. */
  readonly startedAt: number;
  /** Since when nothing is missing, in ms since the recording began: above 0 if events were dropped. */
  readonly from: number;
  /** When this was taken from the recorder, in ms since the recording began. */
  readonly takenAt: number;
  /** How many of the oldest events were overwritten, and how many names were stored as a pattern because they did not fit. */
  readonly dropped: { readonly events: number; readonly names: number };
  /** Counts since the recording began, of the events that were overwritten, too. */
  readonly totals: Totals;
  /** The events in the order in which they happened. Each is made when the iteration comes to it. */
  readonly events: Iterable<RecordedEvent>;
  /** What was alive when the recording was taken. */
  readonly alive: Iterable<RecordedEvent>;
}

/** A recording whose events are decoded when they are read. */
export class RecordedData implements Recording {
  readonly header: RecordingHeader;
  readonly records: RecordBuffer;

  /** @param records - As many as the header says. */
  constructor(header: RecordingHeader, records: Uint8Array<ArrayBuffer>) {
    this.header = header;
    this.records = new RecordBuffer(records);
  }

  get startedAt(): number {
    return this.header.startedAt;
  }

  get from(): number {
    return this.header.from;
  }

  get takenAt(): number {
    return this.header.takenAt;
  }

  get dropped(): Recording["dropped"] {
    return this.header.dropped;
  }

  get totals(): Totals {
    return this.header.totals;
  }

  get events(): Iterable<RecordedEvent> {
    return this.#between(this.header.alive, this.header.alive + this.header.events);
  }

  get alive(): Iterable<RecordedEvent> {
    return this.#between(0, this.header.alive);
  }

  #between(first: number, end: number): Iterable<RecordedEvent> {
    return {
      [Symbol.iterator]: () => this.#decode(first, end),
    };
  }

  *#decode(first: number, end: number): Generator<RecordedEvent, void, void> {
    for (let index = first; index < end; index++) yield this.#event(index);
  }

  #event(index: number): RecordedEvent {
    const { records } = this;
    const type = eventTypes[records.type(index)] as EventType;
    const id = records.id(index);
    const distance = records.parent(index);
    const detail = this.#name(records.detail(index));
    const hasAge = type === "end" || type === "found" || type === "alive";
    return {
      type,
      time: records.time(index),
      id,
      ...(distance === 0 ? {} : { parent: id - distance }),
      name: this.#name(records.name(index)),
      kind: this.#name(records.kind(index)),
      ...(hasAge ? { age: records.age(index) } : {}),
      ...(type === "end" ? { status: endStatuses[records.status(index)] as EndStatus } : {}),
      ...(detail === "" ? {} : { detail }),
    };
  }

  #name(number: number): string {
    return this.header.names[number] ?? "";
  }
}
