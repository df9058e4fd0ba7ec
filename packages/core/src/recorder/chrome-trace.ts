import { TrackPool, type Span } from "./track-pool.js";
import type { RecordedEvent, Recording } from "./recording.js";
import { recordedScopes, type RecordedScope } from "./scopes.js";

/** An event of the trace event format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU */
export interface TraceEvent {
  /** The text that the viewer shows. */
  readonly name: string;
  /**
   * `B` and `E`: a slice begins, ends. `b` and `e`: the same on a separate track. `i`, `n`: an instant. `M`: a name.
   */
  readonly ph: "B" | "E" | "b" | "e" | "i" | "n" | "M";
  /** In microseconds since the recording began. */
  readonly ts: number;
  /** Always 1. */
  readonly pid: number;
  /** The track. */
  readonly tid: number;
  /** Always `bough`. */
  readonly cat?: string;
  /** The separate track of `b`, `e` and `n`. */
  readonly id?: number;
  /** The scope of an instant: its track. */
  readonly s?: "t";
  /** Details. */
  readonly args?: Readonly<Record<string, unknown>>;
}

/** A trace in the trace event format. Write it with `JSON.stringify` into a file, and open that in https://ui.perfetto.dev. */
export interface ChromeTrace {
  /** In the order of their times. */
  readonly traceEvents: readonly TraceEvent[];
  /** Always `ms`. */
  readonly displayTimeUnit: "ms";
  /** The start of the recording, and the number of dropped events. */
  readonly otherData: Readonly<Record<string, unknown>>;
}

interface Slice extends Span {
  readonly scope: RecordedScope;
}

const PID = 1;

/** A track with nested slices. */
class Track {
  readonly #events: TraceEvent[];
  readonly #where: Pick<TraceEvent, "pid" | "tid" | "cat" | "id">;
  readonly #isAsync: boolean;
  readonly #open: Slice[] = [];

  constructor(events: TraceEvent[], tid: number, id?: number) {
    this.#events = events;
    this.#isAsync = id !== undefined;
    this.#where = { pid: PID, tid, cat: "bough", ...(id === undefined ? {} : { id }) };
  }

  get tid(): number {
    return this.#where.tid;
  }

  /** Whether a slice fits on the track: inside the slice of its parent, without overlapping a sibling. */
  fits(slice: Slice): boolean {
    this.#endBefore(slice);
    const top = this.#open.at(-1);
    return top !== undefined && top.scope.id === slice.scope.parent && slice.end <= top.end;
  }

  /** Begins a slice that fits on the track. */
  begin(slice: Slice): void {
    this.#open.push(slice);
    const { name, id, kind } = slice.scope;
    this.#add(this.#isAsync ? "b" : "B", name, slice.start, { id, kind });
  }

  mark({ type, time, kind, detail }: RecordedEvent): void {
    const args = {
      ...(type === "cancel" ? { reason: kind } : {}),
      ...(detail === undefined ? {} : { [type === "stuck" ? "tasks" : "by"]: detail }),
    };
    this.#add(this.#isAsync ? "n" : "i", type === "cancel" ? `cancel: ${kind}` : type, time, args);
  }

  endAll(): void {
    for (let slice = this.#open.pop(); slice !== undefined; slice = this.#open.pop()) this.#end(slice);
  }

  #endBefore({ start, scope }: Slice): void {
    for (let top = this.#open.at(-1); top !== undefined; top = this.#open.at(-1)) {
      if (top.end > start || top.scope.id === scope.parent) return;
      this.#open.pop();
      this.#end(top);
    }
  }

  #end({ end, scope: { name, status, error, reason } }: Slice): void {
    const args = {
      status,
      ...(error === undefined ? {} : { error }),
      ...(reason === undefined ? {} : { reason }),
    };
    this.#add(this.#isAsync ? "e" : "E", name, end, args);
  }

  #add(ph: TraceEvent["ph"], name: string, time: number, args: Readonly<Record<string, unknown>>): void {
    const ts = Math.round(time * 1_000);
    this.#events.push({
      name,
      ph,
      ts,
      ...this.#where,
      ...(ph === "i" ? { s: "t" as const } : {}),
      args,
    });
  }
}

/**
 * Turns a recording into a trace for Perfetto or `chrome://tracing`.
 *
 * Each root scope and each request has a track, which is used again when it has ended. What runs below it is nested in
 * its slice. If siblings run at the same time, the later one gets a separate track. A cancellation is an instant, with
 * its reason, on the scope where it began.
 *
 * @param recording - What a recorder has returned, or {@link decodeRecording}.
 * @returns The trace, for `JSON.stringify`.
 * @example
 * ```ts
 * const recorder = createRecorder();
 * await withScope({ name: "shop" }, (scope) => spawn(scope, async function order() {}));
 * const { traceEvents } = toChromeTrace(recorder.take());
 * recorder.stop();
 * console.log(traceEvents.some(({ name, ph }) => name === "order" && ph === "B")); // true
 * ```
 */
export function toChromeTrace(recording: Recording): ChromeTrace {
  const { startedAt, from, takenAt, dropped } = recording;
  const names: TraceEvent[] = [nameEvent("process_name", 0, "bough")];
  const traceEvents: TraceEvent[] = [];
  const slices = slicesOf(recordedScopes(recording), from, takenAt);
  const allTracks: Track[] = [];
  const trackOf = new Map<number, Track>();
  const rootPools = new Map<string, TrackPool<Track>>();
  const siblingPools = new Map<number, TrackPool<Track>>();
  const addTrack = (tid: number, id?: number): Track => {
    const track = new Track(traceEvents, tid, id);
    allTracks.push(track);
    return track;
  };
  let lastTid = 0;
  let lastId = 0;
  /** Tracks for roots with the same name. */
  const rootPool = (name: string): TrackPool<Track> =>
    new TrackPool((index) => {
      const tid = ++lastTid;
      names.push(nameEvent("thread_name", tid, index === 0 ? name : `${name} (${index + 1})`));
      return addTrack(tid);
    });
  const poolFor = ({ kind, name }: RecordedScope, above: Track | undefined): TrackPool<Track> => {
    if (kind !== "request" && above !== undefined)
      return entry(siblingPools, above.tid, () => new TrackPool(() => addTrack(above.tid, ++lastId)));
    const trackName = kind === "request" ? "requests" : name.replace(/\d+/g, "#");
    return entry(rootPools, trackName, () => rootPool(trackName));
  };
  const trackFor = (slice: Slice): Track => {
    const above = slice.scope.parent === undefined ? undefined : trackOf.get(slice.scope.parent);
    if (slice.scope.kind !== "request" && above?.fits(slice) === true) return above;
    const track = poolFor(slice.scope, above).take(slice);
    track.endAll(); // the pool gives it out when it is free
    return track;
  };
  for (const slice of slices) {
    const track = trackFor(slice);
    trackOf.set(slice.scope.id, track);
    track.begin(slice);
    for (const event of slice.scope.events) track.mark(event);
  }
  for (const track of allTracks) track.endAll();
  return {
    traceEvents: [...names, ...traceEvents.sort((a, b) => a.ts - b.ts)],
    displayTimeUnit: "ms",
    otherData: { startedAt: new Date(startedAt).toISOString(), from, takenAt, dropped },
  };
}

function nameEvent(name: string, tid: number, text: string): TraceEvent {
  return { name, ph: "M", ts: 0, pid: PID, tid, args: { name: text } };
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}

/** Begins and ends each scope within the recording. */
function slicesOf(scopes: readonly RecordedScope[], from: number, takenAt: number): Slice[] {
  // If the end of a scope is unknown, its last event, or that of a scope below it, counts as the end.
  const lastSeen = new Map<number, number>();
  const endOf = (scope: RecordedScope): number => {
    if (scope.status === "running") return takenAt;
    const last = scope.events.at(-1)?.time ?? scope.start;
    return scope.end ?? Math.max(last, lastSeen.get(scope.id) ?? 0, from);
  };
  const ends = new Map<number, number>();
  for (const scope of scopes.toSorted((a, b) => b.id - a.id)) {
    const end = endOf(scope);
    ends.set(scope.id, end);
    if (scope.parent !== undefined)
      lastSeen.set(scope.parent, Math.max(end, lastSeen.get(scope.parent) ?? 0));
  }
  return scopes
    .map((scope) => ({ scope, start: Math.max(scope.start, from), end: ends.get(scope.id) as number }))
    .sort((a, b) => a.start - b.start || a.scope.id - b.scope.id);
}
