import { subjectOf, setSubject } from "../../kernel/object-marks.js";
import { holdUntilSettled } from "./promises.js";
import { hold, type HandleRef } from "./handle-ref.js";

/**
 * Web streams can't have a facade, since functions that take one read its internal slots. So the caller gets a new
 * stream that reads from the inner one on demand, and holds the handle until that has ended. Own members of the inner
 * stream are lost, and so is its subclass. A stream that has a reader or writer already stays the same object.
 */
export function streamFacade(value: object, ref: HandleRef): object {
  if ((value as WebStream).locked) {
    hold(value, ref);
    return value;
  }
  if (isReadable(value)) return markAsFacade(readableFacade(value, ref), value);
  return markAsFacade(writableFacade(value as WritableStream<unknown>, ref), value);
}

type WebStream = ReadableStream<unknown> | WritableStream<unknown>;

// A platform may lack the classes.

function isReadable(value: unknown): value is ReadableStream<unknown> {
  return typeof ReadableStream === "function" && value instanceof ReadableStream;
}

function isWritable(value: unknown): value is WritableStream<unknown> {
  return typeof WritableStream === "function" && value instanceof WritableStream;
}

export function isWebStream(value: unknown): value is WebStream {
  return isReadable(value) || isWritable(value);
}

/** Whether `value` reads from a stream, or writes to one. The platform never takes one as an argument. */
export function isStreamReader(value: object): boolean {
  const { releaseLock, closed } = value as Record<string, unknown>;
  return typeof releaseLock === "function" && closed instanceof Promise;
}

/** Whether `value` is a pair of streams, as a TransformStream is. */
export function isStreamPair(value: object): boolean {
  const { readable, writable } = value as Record<string, unknown>;
  return isReadable(readable) && isWritable(writable);
}

function markAsFacade(facade: object, subject: object): object {
  const prototype = Object.getPrototypeOf(subject) as object;
  if (Object.getPrototypeOf(facade) !== prototype) Object.setPrototypeOf(facade, prototype);
  if (subjectOf(facade) === undefined) setSubject(facade, subject);
  return facade;
}

type Reader = ReadableStreamDefaultReader<unknown>;

function readableFacade(subject: ReadableStream<unknown>, ref: HandleRef): ReadableStream<unknown> {
  let reader: Reader | undefined;
  const source = {
    async pull(controller: ReadableStreamDefaultController<unknown>): Promise<void> {
      reader ??= subject.getReader();
      const received = (step: unknown): void => {
        const { done, value } = step as IteratorResult<unknown>;
        if (done !== true) return controller.enqueue(value);
        ref.end();
        controller.close();
        (controller as { byobRequest?: { respond(bytes: number): void } | null }).byobRequest?.respond(0);
      };
      await holdUntilSettled(ref, reader.read(), received, () => ref.end());
    },
    async cancel(reason: unknown): Promise<void> {
      try {
        await (reader ?? subject).cancel(reason);
      } finally {
        ref.end();
      }
    },
  };
  if (readsBytes(subject)) {
    return new ReadableStream({ type: "bytes", ...source } as never);
  }
  return new ReadableStream(source, { highWaterMark: 0 });
}

function readsBytes(stream: ReadableStream<unknown>): boolean {
  try {
    stream.getReader({ mode: "byob" }).releaseLock();
    return true;
  } catch {
    return false;
  }
}

function writableFacade(subject: WritableStream<unknown>, ref: HandleRef): WritableStream<unknown> {
  let writer: WritableStreamDefaultWriter<unknown> | undefined;
  const open = (): WritableStreamDefaultWriter<unknown> => (writer ??= subject.getWriter());
  const holding = async (work: Promise<void>): Promise<void> => {
    ref.acquire();
    try {
      await work;
    } finally {
      ref.release();
    }
  };
  const ending = async (work: Promise<void>): Promise<void> => {
    try {
      await holding(work);
    } finally {
      ref.end();
    }
  };
  return new WritableStream({
    write: async (chunk) => {
      await holding(open().ready);
      await holding(open().write(chunk));
    },
    close: () => ending(open().close()),
    abort: (reason) => ending(open().abort(reason)),
  });
}
