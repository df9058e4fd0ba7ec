/**
 * Web streams, Node streams, events and iterables that a scope stops. The guide is `docs/interop.md`.
 *
 * @module
 */
export { events, type EventEmitterLike, type EventsOptions } from "./events.js";
export { iterate, type StreamSource } from "./iterate.js";
export type { NodeReadable } from "./node-reader.js";
export type { NodeWritable } from "./node-sink.js";
export { pipe } from "./pipe.js";
export { toReadableStream } from "./to-readable-stream.js";
