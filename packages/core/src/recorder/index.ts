/**
 * A flight recorder for the scopes of a process: events in a bounded ring, as a file, a trace or metrics. The guide is
 * `docs/guide/observing.md`.
 *
 * @module
 */
export { toChromeTrace, type ChromeTrace, type TraceEvent } from "./chrome-trace.js";
export { decodeRecording, encodeRecording } from "./file-format.js";
export { toPrometheus } from "./prometheus.js";
export { createRecorder, type Recorder, type RecorderOptions } from "./recorder.js";
export type { RecordedEvent, Recording } from "./recording.js";
export type { EndStatus, EventType } from "./records.js";
export { recordedScopes, type RecordedScope } from "./scopes.js";
export type { KindTotals, Totals } from "./totals.js";
