import { createHash } from "node:crypto";
import type { EngineRef, Topic } from "../remote/engine.js";

/** pg-boss allows no `@`: `resize@2` is the queue `resize.v2`. */
export function queueName(queue: string): string {
  return queue.replace(/@(\d+)$/, ".v$1");
}

const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/;

/** pg-boss accepts only UUIDs. Any other id is hashed to one. */
export function jobId({ queue, id }: EngineRef): string {
  if (UUID.test(id)) return id;
  const hex = createHash("sha256").update(`${queue}/${id}`).digest("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}

/** The channel of a topic: at most 63 bytes. */
export function channelOf(topic: Topic): string {
  const key = "owner" in topic ? `owner ${topic.owner}` : `queue ${topic.queue}`;
  return `bough_${createHash("sha256").update(key).digest("hex").slice(0, 40)}`;
}

/**
 * Converts a JSON value so that Postgres can store it: NUL and unpaired surrogates become U+FFFD. Data and results are
 * nested JSON texts, in which they are escaped.
 */
export function storable<T>(value: T): T {
  const text = JSON.stringify(value);
  if (!/\\u(?:0000|d[89a-f])/.test(text)) return value;
  const replaced = text.replaceAll(/\\\\|\\u0000|\\ud[89a-f][\da-f]{2}/g, (found) =>
    found === "\\\\" ? found : "\\ufffd",
  );
  return JSON.parse(replaced) as T;
}

/** A name in SQL. */
export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
