// The layout of a record: one event in 32 bytes, the same in memory and in a file.
//
//   0  float64  time, in ms since the recording began
//   8  float64  `id` of the scope
//  16  uint32   how much smaller the `id` of its parent is; 0 for a root
//  20  float32  how old the scope was then, in ms
//  24  uint16   its name: a number of the table of names, as the next two
//  26  uint16   its kind
//  28  uint16   detail: the error, why it was cancelled, where `cancel()` was called, how many tasks are stuck
//  30  uint8    what happened
//  31  uint8    status

/** The size of a record in bytes. */
export const RECORD_SIZE = 32;

/** The types of events by their numbers. */
export const eventTypes = ["alive", "found", "start", "end", "cancel", "stuck", "orphan"] as const;
/** The type of an event; see `RecordedEvent`. */
export type EventType = (typeof eventTypes)[number];

/** The final statuses by their numbers. */
export const endStatuses = ["succeeded", "failed", "cancelled"] as const;
/** The status of a settled scope. */
export type EndStatus = (typeof endStatuses)[number];

const ALIVE: number = eventTypes.indexOf("alive");

/** An array of records: typed arrays over one buffer. */
export class RecordBuffer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #float64: Float64Array;
  readonly #uint32: Uint32Array;
  readonly #float32: Float32Array;
  readonly #uint16: Uint16Array;

  /** @param bytes - Must start at the beginning of its buffer. Its length is a multiple of the size of a record. */
  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.bytes = bytes;
    this.#float64 = new Float64Array(bytes.buffer);
    this.#uint32 = new Uint32Array(bytes.buffer);
    this.#float32 = new Float32Array(bytes.buffer);
    this.#uint16 = new Uint16Array(bytes.buffer);
  }

  static ofLength(length: number): RecordBuffer {
    return new RecordBuffer(new Uint8Array(length * RECORD_SIZE));
  }

  get length(): number {
    return this.bytes.length / RECORD_SIZE;
  }

  set(
    index: number,
    type: number,
    time: number,
    id: number,
    parent: number,
    age: number,
    name: number,
    kind: number,
    detail: number,
    status: number,
  ): void {
    const at8 = index * 4;
    this.#float64[at8] = time;
    this.#float64[at8 + 1] = id;
    const at4 = index * 8;
    this.#uint32[at4 + 4] = parent;
    this.#float32[at4 + 5] = age;
    const at2 = index * 16;
    this.#uint16[at2 + 12] = name;
    this.#uint16[at2 + 13] = kind;
    this.#uint16[at2 + 14] = detail;
    const at1 = index * RECORD_SIZE;
    this.bytes[at1 + 30] = type;
    this.bytes[at1 + 31] = status;
  }

  time(index: number): number {
    return this.#float64[index * 4] as number;
  }

  id(index: number): number {
    return this.#float64[index * 4 + 1] as number;
  }

  parent(index: number): number {
    return this.#uint32[index * 8 + 4] as number;
  }

  age(index: number): number {
    return this.#float32[index * 8 + 5] as number;
  }

  name(index: number): number {
    return this.#uint16[index * 16 + 12] as number;
  }

  kind(index: number): number {
    return this.#uint16[index * 16 + 13] as number;
  }

  detail(index: number): number {
    return this.#uint16[index * 16 + 14] as number;
  }

  /** Marks the names in the first `count` records. */
  markNames(isUsed: Uint8Array, count: number): void {
    for (let index = 0; index < count; index++)
      isUsed[this.name(index)] = isUsed[this.kind(index)] = isUsed[this.detail(index)] = 1;
  }

  type(index: number): number {
    return this.bytes[index * RECORD_SIZE + 30] as number;
  }

  status(index: number): number {
    return this.bytes[index * RECORD_SIZE + 31] as number;
  }
}

/** A ring of the latest events. */
export class Ring {
  readonly records: RecordBuffer;
  /** The number of written events, including overwritten ones. */
  written = 0;

  constructor(bytes: number) {
    this.records = RecordBuffer.ofLength(Math.floor(bytes / RECORD_SIZE));
  }

  get dropped(): number {
    return Math.max(0, this.written - this.records.length);
  }

  /** Returns the index of the next record. Overwrites the oldest one. */
  next(): number {
    return this.written++ % this.records.length;
  }

  /** Copies the records, the oldest first. */
  copy(): Uint8Array<ArrayBuffer> {
    const { bytes, length } = this.records;
    const split = (this.written % length) * RECORD_SIZE;
    if (this.written <= length) return bytes.slice(0, this.written * RECORD_SIZE);
    const copied = new Uint8Array(bytes.length);
    copied.set(bytes.subarray(split));
    copied.set(bytes.subarray(0, split), bytes.length - split);
    return copied;
  }

  markNames(isUsed: Uint8Array): void {
    this.records.markNames(isUsed, Math.min(this.written, this.records.length));
  }
}

/** A growing list of records. */
export class RecordList {
  #records = RecordBuffer.ofLength(64);
  length = 0;

  /** Adds a live scope. */
  add(time: number, id: number, parent: number, age: number, name: number, kind: number): void {
    if (this.length === this.#records.length) {
      const grown = RecordBuffer.ofLength(this.length * 2);
      grown.bytes.set(this.#records.bytes);
      this.#records = grown;
    }
    this.#records.set(this.length++, ALIVE, time, id, parent, age, name, kind, 0, 0);
  }

  markNames(isUsed: Uint8Array): void {
    this.#records.markNames(isUsed, this.length);
  }

  copy(): Uint8Array<ArrayBuffer> {
    return this.#records.bytes.slice(0, this.length * RECORD_SIZE);
  }
}
