import type { Recording } from "./recording.js";
import { LIFE_BOUNDS } from "./totals.js";

/** One line of a metric: its suffix, labels and value. */
type Sample = readonly [suffix: string, labels: Readonly<Record<string, string>>, value: number];

/**
 * Writes the counts of a recording in the text format of Prometheus:
 *
 * - `bough_scopes_alive`: the scopes that were alive when the recording was taken, by kind
 * - `bough_scopes_started_total`, `bough_scopes_settled_total`: by kind, the latter by status, too
 * - `bough_cancellations_total`: by the kind of the reason
 * - `bough_stuck_total`, `bough_orphans_total`
 * - `bough_scope_life_seconds`: a histogram by kind
 * - `bough_recording_dropped_total`: events that were overwritten
 *
 * The totals count since the recording began, so they grow from one take to the next. No metric has a label for names, of
 * which a program may have any number.
 *
 * @param recording - What a recorder has returned, or {@link decodeRecording}.
 * @returns The text, for a response with the type `text/plain; version=0.0.4`.
 * @example
 * ```ts
 * const recorder = createRecorder();
 * await withScope({ name: "shop" }, (scope) => spawn(scope, async function order() {}));
 * const text = toPrometheus(recorder.take());
 * recorder.stop();
 * console.log(text.includes('bough_scopes_settled_total{kind="task",status="succeeded"}')); // true
 * ```
 */
export function toPrometheus(recording: Recording): string {
  const { totals, dropped } = recording;
  const alive = new Map<string, number>();
  for (const { kind } of recording.alive) alive.set(kind, (alive.get(kind) ?? 0) + 1);
  const kinds = Object.entries(totals.kinds);
  return [
    metric(
      "bough_scopes_alive",
      "gauge",
      "Scopes and tasks that are alive, by what has made them.",
      [...alive].map(([kind, count]) => ["", { kind }, count] as const),
    ),
    metric(
      "bough_scopes_started_total",
      "counter",
      "Scopes and tasks that have started.",
      kinds.map(([kind, { started }]) => ["", { kind }, started] as const),
    ),
    metric(
      "bough_scopes_settled_total",
      "counter",
      "Scopes and tasks that have settled, by their status.",
      kinds.flatMap(([kind, { settled }]) =>
        Object.entries(settled).map(([status, count]) => ["", { kind, status }, count] as const),
      ),
    ),
    metric(
      "bough_scope_life_seconds",
      "histogram",
      "How long the scopes and tasks have lived that have settled.",
      kinds.flatMap(([kind, { lives, lifeSum }]) => histogram(kind, lives, lifeSum)),
    ),
    metric(
      "bough_cancellations_total",
      "counter",
      "Cancellations, by the kind of their reason.",
      Object.entries(totals.cancelled).map(([kind, count]) => ["", { reason: kind }, count] as const),
    ),
    metric("bough_stuck_total", "counter", "Grace periods that ended with something still running.", [
      ["", {}, totals.stuck],
    ]),
    metric("bough_orphans_total", "counter", "Scopes whose owner handle was collected.", [
      ["", {}, totals.orphans],
    ]),
    metric("bough_recording_dropped_total", "counter", "Events that were overwritten by later ones.", [
      ["", {}, dropped.events],
    ]),
  ].join("");
}

/** A histogram: each bucket contains the smaller ones. */
function histogram(kind: string, lives: readonly number[], sum: number): Sample[] {
  let count = 0;
  const buckets = lives.map((lived, index): Sample => {
    count += lived;
    return ["_bucket", { kind, le: String(LIFE_BOUNDS[index] ?? "+Inf") }, count];
  });
  return [...buckets, ["_sum", { kind }, sum], ["_count", { kind }, count]];
}

function metric(name: string, type: string, help: string, samples: readonly Sample[]): string {
  const lines = samples.map(([suffix, labels, value]) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
    return `${name}${suffix}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function escapeLabel(text: string): string {
  return text.replace(/[\\"\n]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`));
}
