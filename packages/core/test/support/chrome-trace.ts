interface AnyEvent {
  readonly name?: unknown;
  readonly ph?: unknown;
  readonly ts?: unknown;
  readonly pid?: unknown;
  readonly tid?: unknown;
  readonly cat?: unknown;
  readonly id?: unknown;
  readonly s?: unknown;
  readonly args?: { readonly name?: unknown };
}

/**
 * Checks a trace against the trace event format. Returns a line for each breach:
 *
 * - a time that decreases;
 * - a slice that does not end, ends twice, or crosses another slice of its track;
 * - an event without a field that its phase needs;
 * - a track without a name.
 */
export function traceFaults(trace: unknown): string[] {
  const faults: string[] = [];
  const { traceEvents } = JSON.parse(JSON.stringify(trace)) as { traceEvents?: AnyEvent[] };
  if (!Array.isArray(traceEvents)) return ["no traceEvents"];
  const open = new Map<string, string[]>();
  const named = new Set<unknown>();
  let last = -Infinity;
  for (const [index, event] of traceEvents.entries()) {
    const { name, ph, ts, pid, tid, cat, id, s } = event;
    const fault = (what: string): void =>
      void faults.push(`event ${index}: ${what}: ${JSON.stringify(event)}`);
    if (typeof name !== "string" || name === "") fault("no name");
    if (!Number.isInteger(pid) || !Number.isInteger(tid)) fault("no pid or tid");
    if (ph === "M") {
      if (typeof event.args?.name !== "string") fault("names nothing");
      if (name === "thread_name") named.add(tid);
      continue;
    }
    if (typeof ts !== "number" || !Number.isFinite(ts) || ts < 0) fault("no time");
    if ((ts as number) < last) fault("earlier than the one before");
    last = ts as number;
    if (!named.has(tid)) fault("on a track without a name");
    const isAsync = ph === "b" || ph === "e" || ph === "n";
    if (isAsync && (typeof cat !== "string" || !Number.isInteger(id))) fault("no cat or id");
    const track = isAsync ? `${String(cat)} ${String(id)}` : `thread ${String(tid)}`;
    const slices = open.get(track) ?? [];
    open.set(track, slices);
    if (ph === "B" || ph === "b") slices.push(name as string);
    else if (ph === "E" || ph === "e") {
      if (slices.pop() !== name) fault("ends a slice that is not the innermost");
    } else if (ph === "i") {
      if (s !== "t") fault("an instant without a scope");
    } else if (ph !== "n") fault("unknown phase");
  }
  for (const [track, slices] of open)
    if (slices.length > 0) faults.push(`${track}: no end of ${slices.join(", ")}`);
  return faults;
}
