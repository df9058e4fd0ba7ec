import { wrongType } from "../errors/validate.js";
import { isFromDisconnect } from "../http/disconnect-errors.js";
import { turn } from "../kernel/platform.js";
import { lengthOf, type WithBody } from "./responses.js";

// The bodies of responses: determines whether a body is complete, and relays one that is not. The relay reports whether
// the body was sent, has failed, or was cancelled by the client. Nothing here depends on scopes.

/** Receives the end of a body, once. */
export interface BodyObserver {
  readonly request: { readonly signal?: AbortSignal };
  /** The host has read the body to its end. */
  onSent(): void;
  /** The source of the body has failed, or has a chunk that the host refuses. */
  onFailed(error: unknown): void;
  /**
   * The client has disconnected: the host has cancelled the body before its end, or the source has failed because it reads
   * the upload.
   */
  onBodyCancelled(): void;
}

type Reader = ReadableStreamDefaultReader<unknown>;
type Controller = ReadableStreamDefaultController<unknown>;
type Read = Awaited<ReturnType<Reader["read"]>>;

/** The part of a body that was available. */
export interface Peeked {
  readonly reader: Reader;
  /** How many bytes the response announces; `NaN` if it does not say. */
  readonly length: number;
  /** The whole body; `undefined` if there may be more of it. */
  readonly bytes: Uint8Array | undefined;
  /** The chunks, in order. */
  readonly reads: readonly Promise<Read>[];
}

/**
 * The limit of the chunks to read ahead. A body that was created from a value has one or a few; a generated one may be
 * endless.
 */
const MAX_CHUNKS = 4;

const microtask = Promise.resolve();

/** How many microtasks a read may take before it gets a turn of the event loop, which takes some hosts microseconds. */
const MAX_MICROTASKS = 12;

/** Reads the available part of a body: each part within one turn of the event loop. */
export async function peek(response: WithBody): Promise<Peeked> {
  const length = lengthOf(response);
  const reader = response.body.getReader();
  const ahead: Promise<Read>[] = [];
  const chunks: Uint8Array[] = [];
  for (;;) {
    const next = reader.read();
    ahead.push(next);
    const read = trackRead(next);
    for (let hop = 0; hop < MAX_MICROTASKS && !read.isSettled; hop++) await microtask;
    if (!read.isSettled) await turn(); // not shared: in workerd it would belong to one of the requests
    const { result } = read;
    if (result === undefined) break;
    if (result.done) return { reader, length, bytes: concat(chunks), reads: ahead };
    if (!isBytes(result.value) || chunks.length === MAX_CHUNKS) break;
    chunks.push(result.value);
  }
  return { reader, length, bytes: undefined, reads: ahead };
}

/** Whether the value is a `Uint8Array`, of any realm. */
export function isBytes(value: unknown): value is Uint8Array {
  if (value instanceof Uint8Array) return true;
  return ArrayBuffer.isView(value) && (value as Partial<Uint8Array>)[Symbol.toStringTag] === "Uint8Array";
}

interface TrackedRead {
  isSettled: boolean;
  /** `undefined` if it has failed. */
  result: Read | undefined;
}

function trackRead(read: Promise<Read>): TrackedRead {
  const followed: TrackedRead = { isSettled: false, result: undefined };
  read.then(
    (result) => {
      followed.result = result;
      followed.isSettled = true;
    },
    () => (followed.isSettled = true),
  );
  return followed;
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const [first] = chunks;
  if (chunks.length === 1 && first !== undefined) return first;
  const whole = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

/**
 * Passes a body to the host at the pace of the host, so that a slow client slows the source down.
 *
 * A host may cancel a body of known length once it has all bytes, instead of reading its end. So the bytes are counted.
 */
export class BodyRelay {
  readonly #reader: Reader;
  readonly #reads: Promise<Read>[];
  readonly #observer: BodyObserver;
  /** The remaining bytes of the announced length. `NaN` if it is unknown. */
  #bytesLeft: number;
  /** Weak, so that the scope does not hold the stream: a body without a reader is never sent. */
  #controller: WeakRef<Controller> | undefined;
  #isFinished = false;
  #isPulled = false;
  #hasWritten = false;
  /** Whether the last chunk was bytes. Some hosts refuse every other one. */
  #areBytes = true;
  /** The error of the last chunk, if it was neither bytes nor text. A host that refuses it may not say why it cancels. */
  #refusal: TypeError | undefined = undefined;

  constructor({ reader, reads, length }: Peeked, observer: BodyObserver) {
    this.#reader = reader;
    this.#reads = [...reads];
    this.#observer = observer;
    this.#bytesLeft = length;
  }

  /**
   * Creates the stream for the host.
   *
   * @param owner - What the stream holds as long as it can be read.
   */
  open(owner: unknown): ReadableStream<unknown> {
    return new ReadableStream<unknown>(
      {
        start: (controller) => void (this.#controller = weakly(controller)),
        pull: (controller) => this.#pull(controller, owner),
        cancel: (reason) => this.#cancel(reason),
      },
      { highWaterMark: 0 },
    );
  }

  /** Whether a chunk was passed on since the last call, or the host has not requested the next one. */
  isSending(): boolean {
    const isSending = this.#hasWritten || !this.#isPulled;
    this.#hasWritten = false;
    return isSending;
  }

  async #pull(controller: Controller, _owner: unknown): Promise<void> {
    this.#isPulled = true;
    try {
      const { done, value } = await (this.#reads.shift() ?? this.#reader.read());
      if (this.#isFinished) return;
      this.#isPulled = false;
      if (!done) {
        this.#hasWritten = true;
        this.#areBytes = ArrayBuffer.isView(value);
        this.#refusal = this.#areBytes ? undefined : refusalOf(value);
        this.#bytesLeft -= (value as { readonly byteLength?: number } | undefined)?.byteLength ?? Number.NaN;
        return controller.enqueue(value);
      }
      this.#isFinished = true;
      controller.close();
      this.#observer.onSent();
    } catch (error) {
      if (this.#isFinished) return;
      this.#isFinished = true;
      if (isFromDisconnect(error, this.#observer.request)) {
        this.#observer.onBodyCancelled();
        return controller.close(); // some hosts print the error of a body, although no code receives this one
      }
      this.#observer.onFailed(error);
      controller.error(error);
    }
  }

  #cancel(reason: unknown): Promise<void> {
    if (!this.#isFinished) {
      this.#isFinished = true;
      if (this.#bytesLeft <= 0) this.#observer.onSent();
      else if (!this.#areBytes && reason instanceof TypeError) this.#observer.onFailed(reason);
      else if (this.#refusal !== undefined) this.#observer.onFailed(this.#refusal);
      else this.#observer.onBodyCancelled();
    }
    return this.#reader.cancel(reason);
  }

  /** Breaks the body off, so that the client does not treat it as complete. */
  breakOff(error: unknown): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#reader.cancel(error).catch(() => undefined);
    this.#controller?.deref()?.error(error);
  }
}

function refusalOf(chunk: unknown): TypeError | undefined {
  if (typeof chunk === "string" || chunk instanceof ArrayBuffer) return undefined;
  return wrongType("fetchBough", "a chunk of the response body must be a Uint8Array", chunk);
}

/** workerd has weak references with newer compatibility dates only. */
const weakly = (controller: Controller): WeakRef<Controller> =>
  typeof WeakRef === "function" ? new WeakRef(controller) : ({ deref: () => controller } as never);
