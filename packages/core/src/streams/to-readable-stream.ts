import { refuseOptions } from "../errors/validate.js";
import { abandonReads } from "../flow/combinators/stream.js";
import type { Scope } from "../kernel/scope.js";
import { nodeOf } from "../task/node-of.js";
import { checkStreamSource, iterate, type StreamSource } from "./iterate.js";

/**
 * Converts a source to a Web `ReadableStream`, for example for the body of a `Response`. It does not read ahead of its
 * consumer.
 *
 * **Cancellation:** when `scope` is cancelled, the stream errors with the reason, and the source is closed, as by
 * {@link iterate}. When the consumer cancels the stream, the source is closed as well.
 *
 * **Failure:** an error of the source goes to the consumer of the stream alone, the same object. An error after the
 * cancellation is a failure of the scope.
 *
 * @param scope - Its end stops the reading. It waits until the source is closed.
 * @param source - Any source that {@link iterate} takes.
 * @returns The stream.
 * @throws {TypeError} If an argument is of the wrong type.
 * @example
 * ```ts
 * import { withScope } from "bough";
 * import { toReadableStream } from "bough/streams";
 *
 * await withScope(async (scope) => {
 *   async function* lines() { yield "one\n"; yield "two\n"; }
 *   const body = toReadableStream(scope, lines()).pipeThrough(new TextEncoderStream());
 *   console.log(await new Response(body).text());
 * });
 * ```
 */
export function toReadableStream<T>(scope: Scope, source: StreamSource<T>): ReadableStream<T>;
export function toReadableStream<T>(
  scope: Scope,
  source: StreamSource<T>,
  extra?: unknown,
): ReadableStream<T> {
  refuseOptions("toReadableStream", extra);
  const node = nodeOf("toReadableStream", "scope", scope);
  checkStreamSource("toReadableStream", source);
  const items = iterate(node, source);
  let stop: () => boolean;
  let over = false;
  /** A pending read must not receive an error that the source throws now, since the error would be lost. */
  const end = (): void => {
    over = true;
    abandonReads(items);
  };
  return new ReadableStream<T>(
    {
      start(controller) {
        stop = node.onCancel((reason) => {
          controller.error(reason);
          end();
        });
      },
      async pull(controller) {
        try {
          const { done, value } = await items.next();
          if (over) return;
          if (done !== true) return controller.enqueue(value);
          controller.close();
          stop();
        } catch (error) {
          stop();
          throw error;
        }
      },
      async cancel() {
        end();
        stop();
        await items.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
