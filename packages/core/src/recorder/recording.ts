import { endStatuses, eventTypes, RecordBuffer, type EndStatus, type EventType } from "./records.js";
import type { Totals } from "./totals.js";

/** The header of a file. */
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

/** An event of a scope. Times are in ms since the recording began. */
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
  /** The time of the event, in ms since the recording began. */
  readonly time: number;
  /** The `id` of the scope. */
  readonly id: number;
  /** The `id` of the scope above it; absent for a root. */
  readonly parent?: number;
  /** The name of the scope. */
  readonly name: string;
  /** The kind of the scope: `task`, `request`, `withScope`, … For `cancel`, the kind of the reason. */
  readonly kind: string;
  /** The age of the scope in ms, if it is known: for `found`, `end` and `alive`. */
  readonly age?: number;
  /** The status at the `end`. */
  readonly status?: EndStatus;
  /**
   * For a failed `end`, the name of the error; for a cancelled one, the kind of the reason. For `cancel`, the call site
   * of `cancel()`, if tracing was on. For `stuck`, the number of tasks that have not ended.
   */
  readonly detail?: string;
}

/** The content of a recorder: the latest events, and the live scopes at the time of `take()`. */
export interface Recording {
  /** When the recording began, in epoch ms. */
  readonly startedAt: number;
  /** The time of the oldest kept event, in ms since the recording began: above 0 if events were dropped. */
  readonly from: number;
  /** The time of `take()`, in ms since the recording began. */
  readonly takenAt: number;
  /** The number of overwritten events, and of names that were stored as a pattern because they did not fit. */
  readonly dropped: { readonly events: number; readonly names: number };
  /** Counts since the recording began, including overwritten events. */
  readonly totals: Totals;
  /** The events in order. Each is decoded when the iteration reaches it. */
  readonly events: Iterable<RecordedEvent>;
  /** The scopes that were alive when the recording was taken. */
  readonly alive: Iterable<RecordedEvent>;
}

/** A recording whose events are decoded when they are read. */
export class RecordedData implements Recording {
  readonly header: RecordingHeader;
  readonly records: RecordBuffer;

  /** @param records - The records that the header counts. */
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
