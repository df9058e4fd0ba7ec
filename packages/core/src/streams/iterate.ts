import { wrongType } from "../errors/validate.js";
import { streamFrom } from "../flow/combinators/stream.js";
import { callSite } from "../kernel/call-site.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { nodeOf } from "../task/resolve.js";
import { isNodeReadable, NodeCursor, type NodeReadable } from "./node-cursor.js";
import { isReadableStream, WebCursor } from "./web-cursor.js";

/** What {@link iterate} reads: a Web stream, a Node stream (an async iterable to the compiler), or any iterable. */
export type StreamSource<T> = ReadableStream<T> | AsyncIterable<T> | Iterable<T> | NodeReadable;

/**
 * Reads a source one item at a time, until it ends or `scope` does: for `for await`.
 *
 * Nothing is touched before the first `next()`. From then on the source is this iteration's: whenever it stops early, a
 * Web stream is cancelled and unlocked, a Node stream destroyed and awaited until it is closed, with no listener of
 * ours left, and of anything else `return()` is called and awaited.
 *
 * **Cancellation:** when `scope` is cancelled, a read that is pending is given up, the source is closed as above, and
 * then `next()` rejects with the reason. A Web stream's source is given the reason, too. An async generator can't be
 * stopped in the midst of an `await` of its own: the scope waits for it.
 *
 * **Failure:** an error of the source goes to the consumer alone, the same object; if nobody has taken it when `scope`
 * ends, it is the scope's.
 *
 * @param scope - Whose end stops the reading; it waits for the source to be closed.
 * @param source - Anything of these kinds; a Web stream must not be locked.
 * @returns An iterator for one consumer. Leaving the loop closes the source.
 * @throws {TypeError} If an argument is of the wrong type.
 * @example
 * ```ts
 * import { withScope } from "bough";
 * import { iterate } from "bough/streams";
 *
 * const numbers = new ReadableStream<number>({
 *   start(controller) {
 *     for (const n of [1, 2, 3]) controller.enqueue(n);
 *     controller.close();
 *   },
 * });
 * await withScope({ timeout: 1_000 }, async (scope) => {
 *   for await (const n of iterate(scope, numbers)) console.log(n); // 1, 2, 3
 * });
 * console.log(numbers.locked); // false
 * ```
 */
export function iterate<T>(scope: Scope, source: StreamSource<T>): AsyncIterableIterator<T> {
  const node = nodeOf("iterate", "scope", scope);
  checkStreamSource("iterate", source);
  return iterateFrom(node, source, callSite(iterate));
}

/** `iterate`, for another public function, which was called at `site` and has looked at the source. */
export function iterateFrom<T>(
  node: ScopeNode,
  source: StreamSource<T>,
  site: string | undefined,
): AsyncIterableIterator<T> {
  return streamFrom(node, (own) => open(source, own), identity<T>, site);
}

const identity = <T>(item: T): T => item;

function open<T>(source: StreamSource<T>, scope: Scope): AsyncIterable<T> | Iterable<T> {
  if (isReadableStream(source)) return new WebCursor<T>(source, scope);
  if (isNodeReadable(source)) return new NodeCursor<T>(source, scope);
  return source;
}

export function checkStreamSource(operation: string, source: unknown): void {
  if (isReadableStream(source) || isNodeReadable(source)) return;
  const isIterable = typeof source === "string" || (typeof source === "object" && source !== null);
  if (isIterable && (Symbol.asyncIterator in Object(source) || Symbol.iterator in Object(source))) return;
  throw wrongType(operation, "source must be a stream, an iterable or an async iterable", source);
}
