import type { EndStatus } from "./records.js";
import type { RecordedEvent, Recording } from "./recording.js";

/** The life of one scope or task in a recording. Times are in ms since the recording began. */
export interface RecordedScope {
  /** Unique in the recording. */
  readonly id: number;
  /** The `id` of the scope above it; absent for a root. It may be missing in the recording. */
  readonly parent?: number;
  /** Its name. */
  readonly name: string;
  /**
   * The kind of the scope: `task`, `request`, `withScope`, … For one that started before the recording: `handle` or
   * `scope`.
   */
  readonly kind: string;
  /** When it started. Below 0 if that was before the recording, and then exact to a millisecond. */
  readonly start: number;
  /** When it settled. Absent if it was still running or its end is unknown: see `status`. */
  readonly end?: number;
  /**
   * Its status. `running`: it was alive when the recording was taken. `unknown`: it has ended, but started before the
   * recording, so its end was not published.
   */
  readonly status: EndStatus | "running" | "unknown";
  /** The name of the error, if it has failed. */
  readonly error?: string;
  /** Why it was cancelled, if the cancellation began with it or it has ended as cancelled. */
  readonly reason?: string;
  /** Its other events: cancellations that began with it, `stuck`, `orphan`. */
  readonly events: readonly RecordedEvent[];
}

interface Draft {
  id: number;
  parent: number | undefined;
  name: string;
  kind: string | undefined;
  start: number | undefined;
  end: number | undefined;
  status: RecordedScope["status"];
  error: string | undefined;
  reason: string | undefined;
  events: RecordedEvent[];
}

/**
 * Groups the events of a recording by scope, with the start and the end of each. Includes scopes whose start was
 * dropped or was before the recording, if they have any other event.
 *
 * @param recording - What a recorder has returned, or {@link decodeRecording}.
 * @returns The scopes in the order in which they started.
 * @example
 * ```ts
 * const recorder = createRecorder();
 * await withScope({ name: "shop" }, (scope) => spawn(scope, async function order() {}));
 * const lines = recordedScopes(recorder.take()).map(({ name, kind, status }) => `${name} ${kind} ${status}`);
 * recorder.stop();
 * console.log(lines.filter((line) => /shop|order/.test(line))); // [ "shop withScope succeeded", "order task succeeded" ]
 * ```
 */
export function recordedScopes(recording: Recording): RecordedScope[] {
  const drafts = new Map<number, Draft>();
  const draftOf = (event: RecordedEvent): Draft => {
    const found = drafts.get(event.id);
    if (found !== undefined) return found;
    const draft = newDraft(event);
    drafts.set(event.id, draft);
    return draft;
  };
  for (const event of recording.events) addEvent(draftOf(event), event);
  for (const event of recording.alive) {
    const draft = draftOf(event);
    addLife(draft, event);
    if (draft.end === undefined) draft.status = "running";
  }
  return Array.from(drafts.values(), (draft) => toScope(draft, recording.from)).sort(
    (a, b) => a.start - b.start || a.id - b.id,
  );
}

function newDraft({ id, parent, name }: RecordedEvent): Draft {
  return {
    id,
    parent,
    name,
    kind: undefined,
    start: undefined,
    end: undefined,
    status: "unknown",
    error: undefined,
    reason: undefined,
    events: [],
  };
}

function addEvent(draft: Draft, event: RecordedEvent): void {
  const { type, time, detail, kind } = event;
  if (type === "start" || type === "found") {
    addLife(draft, event);
  } else if (type === "end") {
    addLife(draft, event);
    draft.name = event.name; // Express finds the route of a request after its scope was opened
    draft.kind = kind;
    draft.end = time;
    draft.status = event.status as EndStatus;
    if (event.status === "failed") draft.error = detail;
    else if (event.status === "cancelled") draft.reason ??= detail;
  } else {
    draft.events.push(event);
    if (type === "cancel") draft.reason ??= kind;
  }
}

/** The first event with its start and kind counts. */
function addLife(draft: Draft, { time, age = 0, kind }: RecordedEvent): void {
  draft.start ??= time - age;
  draft.kind ??= kind;
}

function toScope(draft: Draft, from: number): RecordedScope {
  const { id, parent, name, kind = "scope", start = from, end, status, error, reason, events } = draft;
  return {
    id,
    ...(parent === undefined ? {} : { parent }),
    name,
    kind,
    start,
    ...(end === undefined ? {} : { end }),
    status,
    ...(error === undefined ? {} : { error }),
    ...(reason === undefined ? {} : { reason }),
    events,
  };
}
