import type { Http2ServerResponse } from "node:http2";
import {
  hasEnded,
  isAbandoned,
  isDisconnected,
  isResponse,
  type AnyRequest,
  type AnyResponse,
} from "./messages.js";
import type { CancelledOutcome } from "./outcome.js";
import { answerTexts, callHook, type AnswerStatus, type OutcomeHooks, type Responder } from "./responder.js";
import { ignoreLateAnswer, ignoreSecondAnswer, markDisconnected, watchWrites } from "./symbols.js";

// Answers requests of `node:http`, `node:https` and `node:http2`. A server without a framework uses `NodeResponder`
// itself. A framework on top of these responses extends it with its format of errors and its log. request.ts and
// shutdown.ts decide when to answer, and with which status.

/** The names of the headers that describe the body of a response. */
export const bodyHeaders: RegExp =
  /^(content-|etag$|last-modified$|cache-control$|transfer-encoding$|trailer$|accept-ranges$)/;

/** The body of an answer, and its media type. */
export interface AnswerContent {
  readonly type: string;
  readonly body: string;
}

/** The responder of a server without a framework, and the base class of other responders. */
export class NodeResponder implements Responder {
  protected readonly request: AnyRequest;
  protected readonly response: AnyResponse;
  protected readonly hooks: OutcomeHooks<never, never> | undefined;
  #isWatched = false;
  #hasWritten = false;

  constructor(request: AnyRequest, response: AnyResponse, hooks?: OutcomeHooks<never, never>) {
    this.request = request;
    this.response = response;
    this.hooks = hooks;
  }

  get isAnswerable(): boolean {
    const { response } = this;
    if (!isResponse(response) || response.headersSent || response.writableEnded) return false;
    return !isAbandoned(this.request, response);
  }

  get hasBegun(): boolean {
    return isResponse(this.response) && this.response.headersSent;
  }

  get hasEnded(): boolean {
    return hasEnded(this.response);
  }

  get isDisconnected(): boolean {
    return isDisconnected(this.request, this.response);
  }

  get statusCode(): number {
    return isResponse(this.response) ? this.response.statusCode : 0;
  }

  set statusCode(status: number) {
    if (isResponse(this.response)) this.response.statusCode = status;
  }

  get expectsAnswer(): boolean {
    return isResponse(this.response);
  }

  isSending(): boolean {
    const { response } = this;
    if (!this.#isWatched && this.hasBegun) {
      this.#isWatched = true;
      watchWrites(response, () => (this.#hasWritten = true));
    }
    const isSending = this.#hasWritten || response.writableLength > 0;
    this.#hasWritten = false;
    return isSending;
  }

  answer(status: AnswerStatus): void {
    const { request, response } = this;
    if (!isResponse(response)) return;
    const { type, body } = this.takeOver(status, answerTexts[status]);
    for (const name of response.getHeaderNames()) if (bodyHeaders.test(name)) response.removeHeader(name);
    response.statusCode = status;
    response.setHeader("content-type", `${type}; charset=utf-8`);
    response.setHeader("content-length", Buffer.byteLength(body));
    this.abandonUpload();
    response.end(body);
    if (!request.complete) this.stopUpload();
    ignoreLateAnswer(response, "headersSent");
  }

  /** Takes the response over from the framework. Returns the answer in the framework's format. */
  protected takeOver(_status: AnswerStatus, text: string): AnswerContent {
    return { type: "text/plain", body: `${text}\n` };
  }

  get respond(): ((outcome: CancelledOutcome) => Promise<void>) | undefined {
    const ownAnswer = this.ownAnswer();
    if (ownAnswer === undefined) return undefined;
    return (outcome) => {
      this.abandonUpload();
      const responded = ownAnswer(outcome);
      if (isResponse(this.response)) ignoreLateAnswer(this.response, "writableEnded");
      return responded;
    };
  }

  /** The application's own answer, by its hook. */
  protected ownAnswer(): ((outcome: CancelledOutcome) => Promise<void>) | undefined {
    const respond = this.hooks?.respond;
    return respond && ((outcome) => callHook(respond, outcome, this.request, this.response));
  }

  ignoreSecondAnswer(cutOff = (): void => this.cutOff()): void {
    if (isResponse(this.response) && this.hasBegun) ignoreSecondAnswer(this.response, cutOff);
  }

  cutOff(): void {
    const stream = streamOf(this.response);
    // With an error code, since HTTP/2 would otherwise end the stream as if the answer were complete.
    if (stream !== undefined) stream.close(INTERNAL_ERROR);
    else this.response.destroy();
  }

  /** Closes an HTTP/1.1 connection after the answer. Otherwise the rest of the upload would have to be read first. */
  protected abandonUpload(): void {
    const { request, response } = this;
    if (request.httpVersionMajor < 2 && !request.complete && "shouldKeepAlive" in response)
      response.shouldKeepAlive = false;
  }

  stopUpload(): void {
    if (!this.request.complete) stopUpload(this.response);
  }

  log(outcome: CancelledOutcome, _isStuck: boolean): void {
    void callHook(this.hooks?.onCancelled, outcome, this.request, this.response);
  }

  markDisconnected(): void {
    markDisconnected(this.response);
  }
}

/** Asks an HTTP/2 client that has the whole answer to stop its upload. */
export function stopUpload(response: AnyResponse): void {
  if (response.writableEnded) streamOf(response)?.close(NO_ERROR);
}

/** The stream of a response of HTTP/2. */
function streamOf(response: AnyResponse): { close: (code: number) => void } | undefined {
  const { stream } = response as Partial<Http2ServerResponse>;
  return typeof stream?.close === "function" ? stream : undefined;
}

/** NGHTTP2_NO_ERROR, NGHTTP2_INTERNAL_ERROR. */
const NO_ERROR = 0;
const INTERNAL_ERROR = 2;
