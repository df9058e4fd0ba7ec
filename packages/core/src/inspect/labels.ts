import type { WaitInfo } from "./waits.js";
import { formatDuration } from "./duration.js";

/**
 * Describes the wait of a scope: `sleep, 41 s left`, `acquire 1 of 4`, `receive`.
 *
 * @param wait - One of the `waits` of a snapshot.
 * @returns A few words.
 * @example
 * ```ts
 * console.log(waitLabel({ operation: "sleep", left: 41_900 })); // sleep, 41 s left
 * ```
 */
export function waitLabel(wait: WaitInfo): string {
  const { operation, left, position, of } = wait;
  if (left !== undefined) return `${operation}, ${formatDuration(left)} left`;
  if (of === undefined || of <= 1) return operation;
  return position === undefined ? `${operation}, ${of} wait` : `${operation} ${position} of ${of}`;
}

/** Control characters, line separators, and marks that change the direction of text. */
const unprintable = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Escapes the unprintable characters of a name, such as `\u001b`. */
export function oneLine(name: string): string {
  return name.replace(unprintable, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

export function plural(count: number, one: string, many: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
