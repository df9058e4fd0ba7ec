import type { CancelledError, Scope } from "../../src/index.js";
import { fetchBough, type FetchBough, type FetchBoughOptions } from "../../src/web/index.js";
import { deferred, flush } from "./deferred.js";

/** A request to a handler in this process, as a fetch-style host would make it, and what becomes of it. */
export interface WebExchange {
  readonly handle: FetchBough<Request, unknown[], Response>;
  readonly request: Request;
  /** The response that the host gets. */
  readonly response: Promise<Response>;
  readonly scope: Scope;
  /** The reason, when the scope is cancelled. */
  readonly cancelled: Promise<CancelledError>;
  /** Settles when the defers of the scope have run. */
  readonly ended: Promise<void>;
  /** The client leaves, as the host says by `request.signal`. */
  readonly leave: () => void;
}

export interface WebInput extends RequestInit {
  readonly path?: string;
  readonly rest?: readonly unknown[];
}

/** Sends one request; the scope has a defer, so that something hangs on it. */
export function exchange(
  handler: (request: Request, scope: Scope) => unknown,
  options: FetchBoughOptions<Request, unknown[]> = {},
  { path = "/", rest = [], ...init }: WebInput = {},
): WebExchange {
  const leaving = new AbortController();
  const cancelled = deferred<CancelledError>();
  const ended = deferred();
  let scope: Scope | undefined;
  const handle = fetchBough((request: Request, own, ..._rest: unknown[]) => {
    scope = own;
    own.onCancel(cancelled.resolve);
    own.defer(ended.resolve);
    return handler(request, own) as Response | Promise<Response>;
  }, options);
  const request = new Request(`http://localhost${path}`, { ...init, signal: leaving.signal });
  const response = handle(request, ...rest);
  return {
    handle,
    request,
    response,
    scope: scope as Scope,
    cancelled: cancelled.promise,
    ended: ended.promise.then(flush),
    leave: () => leaving.abort(),
  };
}

/** A body of parts that a test sends by hand, and what the host says to it. */
export class ManualBody {
  readonly stream: ReadableStream<Uint8Array>;
  /** The reason, when the body is cancelled. */
  readonly cancelled: Promise<unknown>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  pulls = 0;

  constructor() {
    const cancelled = deferred<unknown>();
    this.cancelled = cancelled.promise;
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => void (this.#controller = controller),
        pull: () => void (this.pulls += 1),
        cancel: cancelled.resolve,
      },
      { highWaterMark: 0 },
    );
  }

  send(text: string): void {
    this.#controller?.enqueue(new TextEncoder().encode(text));
  }

  end(): void {
    this.#controller?.close();
  }

  fail(error: unknown): void {
    this.#controller?.error(error);
  }
}

/** The next part of a body as text; `undefined` at its end. */
export async function nextPart(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string | undefined> {
  const { done, value } = await reader.read();
  return done ? undefined : new TextDecoder().decode(value);
}

/** The reader of the body of a response. */
export function readerOf(response: Response): ReadableStreamDefaultReader<Uint8Array> {
  if (response.body === null) throw new Error("the response has no body");
  return response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
}
