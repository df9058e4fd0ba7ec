import { refuseOptions, wrongType } from "../errors/validate.js";
import { streamFrom } from "../flow/combinators/stream.js";
import { callSite } from "../kernel/call-site.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { nodeOf } from "../task/node-of.js";
import { isNodeReadable, NodeReader, type NodeReadable } from "./node-reader.js";
import { isReadableStream, WebReader } from "./web-reader.js";

/** The sources of {@link iterate}: a Web stream, a Node stream (an async iterable to the compiler), or any iterable. */
export type StreamSource<T> = ReadableStream<T> | AsyncIterable<T> | Iterable<T> | NodeReadable;

/**
 * Reads a source one item at a time, until it ends or `scope` does: for `for await`.
 *
 * The source is not touched before the first `next()`. From then on it belongs to this iteration. When the iteration
 * stops early, it cancels and unlocks a Web stream. It destroys a Node stream, removes its listeners, and waits for
 * `close`. It calls and awaits the `return()` of any other iterable.
 *
 * **Cancellation:** when `scope` is cancelled, a pending read is abandoned, the source is closed as above, and then
 * `next()` rejects with the reason. The source of a Web stream receives the reason, too. An async generator can't be
 * stopped in the middle of an `await` in its own code: the scope waits for it.
 *
 * **Failure:** an error of the source goes to the consumer alone, the same object. If no `next()` has received it when
 * `scope` ends, it is a failure of `scope`.
 *
 * @param scope - Its end stops the reading. It waits until the source is closed.
 * @param source - A Web stream that is not locked, a Node stream, or an iterable.
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
export function iterate<T>(scope: Scope, source: StreamSource<T>): AsyncIterableIterator<T>;
export function iterate<T>(scope: Scope, source: StreamSource<T>, extra?: unknown): AsyncIterableIterator<T> {
  refuseOptions("iterate", extra);
  const node = nodeOf("iterate", "scope", scope);
  checkStreamSource("iterate", source);
  return iterateFrom(node, source, callSite(iterate));
}

/** `iterate` for another public function, which was called at `site` and has checked the source. */
export function iterateFrom<T>(
  node: ScopeNode,
  source: StreamSource<T>,
  site: string | undefined,
): AsyncIterableIterator<T> {
  return streamFrom(node, (own) => open(source, own), identity<T>, site);
}

const identity = <T>(item: T): T => item;

function open<T>(source: StreamSource<T>, scope: Scope): AsyncIterable<T> | Iterable<T> {
  if (isReadableStream(source)) return new WebReader<T>(source, scope);
  if (isNodeReadable(source)) return new NodeReader<T>(source, scope);
  return source;
}

export function checkStreamSource(operation: string, source: unknown): void {
  if (isReadableStream(source) || isNodeReadable(source)) return;
  const isIterable = typeof source === "string" || (typeof source === "object" && source !== null);
  if (isIterable && (Symbol.asyncIterator in Object(source) || Symbol.iterator in Object(source))) return;
  throw wrongType(operation, "source must be a stream, an iterable or an async iterable", source);
}
