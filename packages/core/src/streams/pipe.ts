import { refuseOptions, wrongType } from "../errors/validate.js";
import { rejectBeforeStart } from "../kernel/throttled-results.js";
import { callSite } from "../kernel/call-site.js";
import { defer } from "../kernel/defers.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { nodeOf } from "../task/node-of.js";
import { startTask } from "../task/spawn.js";
import { enterScope } from "../task/with-scope.js";
import { checkStreamSource, iterateFrom, type StreamSource } from "./iterate.js";
import { isNodeWritable, NodeSink, type NodeWritable } from "./node-sink.js";
import type { Sink } from "./sink.js";
import { isWritableStream, WebSink } from "./web-sink.js";

/**
 * Writes all of a source to a Web or Node stream, with back-pressure, and ends the stream. It does the work of `pipeTo`
 * and `pipeline`, between any two kinds.
 *
 * **Cancellation:** when `scope` is cancelled, the source is closed, as by {@link iterate}, and the sink is aborted (a
 * Web stream with the reason) or destroyed. When both are done, the promise rejects with the reason. In a scope that is
 * already cancelled, neither is touched.
 *
 * **Failure:** an error of one side ends the other side in the same way. It goes to the caller alone, the same object.
 *
 * @param scope - The owner.
 * @param source - Any source that {@link iterate} takes.
 * @param sink - A `WritableStream` that is not locked, or a Node `Writable`.
 * @returns A promise that resolves when everything is written and a Node stream that closes by itself has closed. No
 * listener and no lock is left.
 * @throws {CancelledError} (as a rejection) The reason of `scope`.
 * @throws {ScopeClosedError} (as a rejection) If `scope` has ended.
 * @throws {TypeError} (as a rejection) If an argument is of the wrong type.
 * @example
 * ```ts
 * import { withScope } from "bough";
 * import { pipe } from "bough/streams";
 *
 * const written: string[] = [];
 * await withScope(async (scope) => {
 *   await pipe(scope, ["a", "b"], new WritableStream({ write: (chunk) => void written.push(chunk) }));
 * });
 * console.log(written); // [ 'a', 'b' ]
 * ```
 */
export function pipe<T>(
  scope: Scope,
  source: StreamSource<T>,
  sink: WritableStream<T> | NodeWritable,
): Promise<void>;
export function pipe(
  scope: Scope,
  source: StreamSource<unknown>,
  sink: unknown,
  extra?: unknown,
): Promise<void> {
  try {
    refuseOptions("pipe", extra);
    return begin(scope, source, sink, callSite(pipe));
  } catch (error) {
    return rejectBeforeStart(error);
  }
}

function begin(
  scope: Scope,
  source: StreamSource<unknown>,
  sink: unknown,
  site: string | undefined,
): Promise<void> {
  const node = nodeOf("pipe", "scope", scope);
  checkStreamSource("pipe", source);
  if (!isWritableStream(sink) && !isNodeWritable(sink)) {
    throw wrongType("pipe", "sink must be a WritableStream or a Writable", sink);
  }
  const body = async (own: Scope): Promise<void> => {
    const target: Sink = isWritableStream(sink) ? new WebSink(sink) : new NodeSink(sink);
    defer(own as ScopeNode, "pipe", () => target.release(), "sink", site);
    target.failed.catch(() => undefined);
    await transfer(own as ScopeNode, source, target, site);
  };
  return enterScope("withScope", node, { name: "pipe" }, body, site);
}

async function transfer(
  own: ScopeNode,
  source: StreamSource<unknown>,
  target: Sink,
  site: string | undefined,
): Promise<void> {
  let aborted: Promise<void> | undefined;
  const abort = (reason: unknown): Promise<void> => (aborted ??= target.abort(reason));
  // Detect a failure of the sink while the source is silent, too.
  const watch = (task: Scope): Promise<unknown> => Promise.race([target.failed, cancellation(task)]);
  startTask(own, watch, { daemon: true, name: "sink" }, site);
  // A write that waits for room would never end.
  const stop = own.onCancel((reason) => {
    const [failure = reason] = own.errors; // of either side; a cancellation from outside has no error, only a reason
    abort(failure).catch(() => undefined); // awaited below
  });
  try {
    // Not by `for await`, which discards an error of closing the source when its body throws.
    const items = iterateFrom(own, source, site);
    for (let item = await items.next(); item.done !== true; item = await items.next())
      await target.write(item.value);
    own.throwIfCancelled(); // in the moment after the last item: the sink has been aborted
    await target.end();
  } catch (error) {
    defer(own, "pipe", () => abort(error), "sink", site); // after the body: its error is the first
    throw error;
  } finally {
    stop();
  }
}

function cancellation(scope: Scope): Promise<unknown> {
  return new Promise((resolve) => scope.onCancel(resolve));
}
