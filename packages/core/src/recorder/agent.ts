import { TreeCursor } from "../inspect/tree-cursor.js";
import { isReadable, knownCopies } from "../inspect/known-copies.js";
import { findChannels, EventLog } from "./event-log.js";

// The part of `bough inspect --record` that runs in the recorded process. It is bundled into one expression, which the
// debugger evaluates there; its value is a `RecorderAgent`.

/** The methods that the debugger calls. Every result is a string. */
export interface RecorderAgent {
  /**
   * Begins to record, in this many bytes.
   *
   * @returns JSON, `{ copies, unreadable }`: the number of trees, and how many of them have an unknown format.
   */
  start(bytes: number): string;
  /** Keeps the recording running. Without this call it ends by itself. */
  keep(): string;
  /** Records live scopes for `ms` milliseconds. Returns `"end"` after the last one. */
  walk(ms: number): string;
  /** Ends the recording. Returns the header of its file. */
  stop(): string;
  /** Returns a part of the records, in base64; `""` after the last one. */
  read(offset: number, length: number): string;
}

/** After this time without a call the recording ends, in ms: the command is gone. */
const LIMIT = 10_000;

interface Timer {
  unref(): void;
}

interface Host {
  readonly performance: { now(): number };
  readonly Date: { now(): number };
  readonly Buffer: {
    from(memory: ArrayBuffer, offset: number, length: number): { toString(encoding: string): string };
  };
  setTimeout(callback: () => void, ms: number): Timer;
}

function createAgent(): RecorderAgent {
  const host = globalThis as unknown as Host;
  const now = (): number => host.performance.now();
  let log: EventLog | undefined;
  let unsubscribe: (() => void) | undefined;
  let cursors: TreeCursor<void>[] | undefined;
  let records: Uint8Array<ArrayBuffer> | undefined;
  let calledAt = 0;

  /** Which recording a timer belongs to. */
  let round = 0;

  const end = (): void => {
    round += 1;
    unsubscribe?.();
    unsubscribe = undefined;
    for (const cursor of cursors ?? []) cursor.close();
    cursors = log = records = undefined;
  };
  /** Ends the recording when there was no call for a while. */
  const guard = (own: number): void => {
    const left = calledAt + LIMIT - now();
    if (own !== round) return;
    if (left <= 0) return end();
    host.setTimeout(() => guard(own), left).unref();
  };
  return {
    start(bytes) {
      end();
      calledAt = now();
      const copies = knownCopies();
      const unreadable = copies.filter((copy) => !isReadable(copy)).length;
      const channels = findChannels();
      if (copies.length > unreadable && channels !== undefined) {
        log = new EventLog(bytes, { now, calendar: () => host.Date.now() });
        log.recordFound();
        unsubscribe = log.listen(channels);
        guard(round);
      }
      return JSON.stringify({ copies: copies.length, unreadable });
    },
    keep() {
      calledAt = now();
      return "";
    },
    walk(ms) {
      calledAt = now();
      if (log === undefined) throw new Error(ENDED);
      if (cursors === undefined) {
        const recordAlive = log.beginAlive();
        cursors = knownCopies()
          .filter(isReadable)
          .map((copy) => new TreeCursor(copy, now, recordAlive));
      }
      cursors[0]?.take(ms);
      if (cursors[0]?.ended !== false) cursors.shift();
      return cursors.length === 0 ? "end" : "";
    },
    stop() {
      calledAt = now();
      if (log === undefined) throw new Error(ENDED);
      const header = JSON.stringify(log.header());
      records = log.records();
      unsubscribe?.();
      unsubscribe = undefined;
      log = undefined;
      return header;
    },
    read(offset, length) {
      calledAt = now();
      if (records === undefined) throw new Error(ENDED);
      const part = records.subarray(offset, offset + length);
      if (part.length === 0) end();
      return host.Buffer.from(part.buffer, part.byteOffset, part.length).toString("base64");
    },
  };
}

const ENDED = "the recording has ended, because nobody has asked for it for 10 s";

export const agent: RecorderAgent = createAgent();
