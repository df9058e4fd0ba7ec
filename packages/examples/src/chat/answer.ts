import { createScope, sleep, spawn, type CancelledError, type Scope, type ScopeHandle } from "bough";
import type { ShutdownNotice } from "bough/http";
import { framesOf } from "./frames.js";

// The gateway itself. It depends on no framework: express.ts, fastify.ts and hono.ts each pass it the scope of a request, and
// send the frames that it yields.

/** A server that speaks the API of OpenAI, and how long to wait for it. */
export interface Model {
  /** For example `https://api.openai.com/v1`. */
  readonly url: string;
  readonly name: string;
  readonly apiKey?: string | undefined;
  /** Milliseconds until the first token. */
  readonly firstToken: number;
  /** Milliseconds for the whole answer. */
  readonly total: number;
}

/** An error with a status for the client. The frameworks read either property. */
export class HttpError extends Error {
  static {
    this.prototype.name = "HttpError";
  }

  readonly status: number;
  readonly statusCode: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = this.statusCode = status;
  }
}

/**
 * Asks the model, and resolves when its first token is there.
 *
 * **Cancellation:** when the reader leaves, `scope` is cancelled, and the request to the model with it. The first token and the
 * whole answer have their deadlines. When `server` begins to shut down, the answer ends with a last event.
 *
 * **Failure:** before the first token, a failure rejects, so that the reader gets a status: 400 for a bad question, 502 for an
 * error of the model, 504 for a deadline. After the first token, the reader gets a last event instead.
 *
 * @param scope - That of the request.
 * @param question - The body of the request.
 * @returns The answer, as frames of server-sent events. They are read from the model no faster than they are taken.
 */
export async function openAnswer(
  scope: Scope,
  question: unknown,
  model: Model,
  server: ShutdownNotice,
): Promise<AsyncIterable<string>> {
  const { messages } = (question ?? {}) as { messages?: unknown };
  if (!Array.isArray(messages)) throw new HttpError(400, "the body must have messages");
  // A separate scope: when its time is up, or the server shuts down, the request can still send the last event.
  const answer = createScope(scope, { name: "answer", timeout: model.total });
  try {
    const patience = spawn(answer, (task) => sleep(task, Infinity), {
      name: "first token",
      timeout: model.firstToken,
      daemon: true,
    });
    const frames = framesOf(await post(model, messages, answer.signal));
    const first = await frames.next();
    patience.cancel();
    return relay(scope, answer, first, frames, server);
  } catch (error) {
    await answer.close();
    throw error;
  }
}

async function post(
  { url, name, apiKey }: Model,
  messages: unknown[],
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (apiKey !== undefined) headers["authorization"] = `Bearer ${apiKey}`;
  const body = JSON.stringify({ model: name, messages, stream: true });
  const response = await fetch(`${url}/chat/completions`, { method: "POST", headers, body, signal });
  if (response.ok && response.body !== null) return response.body;
  await response.body?.cancel();
  throw new HttpError(502, `the model answers ${response.status}`);
}

async function* relay(
  scope: Scope,
  answer: ScopeHandle,
  first: IteratorResult<string, void>,
  frames: AsyncGenerator<string, void>,
  server: ShutdownNotice,
): AsyncGenerator<string, void> {
  const stop = server.onShutdown(function endAnswer() {
    answer.cancel(new Error("the server shuts down"));
  });
  try {
    for (let next = first; next.done !== true; next = await frames.next()) yield next.value;
  } catch (error) {
    scope.throwIfCancelled(); // the reader has left, and gets no last event
    yield lastEvent(answer.reason, error);
  } finally {
    stop();
    await answer.close();
  }
}

function lastEvent(reason: CancelledError | undefined, error: unknown): string {
  const why = reason === undefined ? "error" : reason.kind === "deadline" ? "deadline" : "shutdown";
  const message = reason === undefined ? String(error) : reason.message;
  return `event: end\ndata: ${JSON.stringify({ reason: why, message })}\n\n`;
}

/** The headers of a stream of events. */
export const eventHeaders = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no",
} as const;
