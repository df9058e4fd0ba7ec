import { request as httpRequest, type IncomingMessage } from "node:http";
import { framesOf, tokenOf } from "./frames.js";

/** The observations of a reader. */
export interface Reading {
  readonly status: number;
  /** How many tokens arrived. */
  readonly tokens: number;
  /** The data of the last event, if there was one: why the answer ended early. */
  readonly end: { readonly reason: string } | undefined;
  /** When the reader left, by `performance.now()`. */
  readonly leftAt: number | undefined;
}

export interface ReadOptions {
  /** Leaves after so many tokens. */
  readonly leaveAfter?: number;
  /** Leaves when this settles, before the first token or in the middle. */
  readonly leaveWhen?: Promise<unknown>;
  /** Called before the body is read: the reader reads when it settles. */
  readonly beforeReading?: () => Promise<unknown>;
  /** Called for each token. The next one is read when it settles. */
  readonly onToken?: (tokens: number) => Promise<unknown> | undefined;
}

/** Asks a gateway a question, and reads the answer. */
export async function read(url: string, question: string, options: ReadOptions = {}): Promise<Reading> {
  const { leaveAfter = Infinity, leaveWhen, beforeReading, onToken } = options;
  const body = JSON.stringify({ messages: [{ role: "user", content: question }] });
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  const request = httpRequest(`${url}/chat`, { method: "POST", agent: false, headers });
  let leftAt: number | undefined;
  const leave = (): void => {
    if (leftAt !== undefined) return;
    leftAt = performance.now();
    request.destroy();
  };
  void leaveWhen?.then(leave);
  const response = await new Promise<IncomingMessage | undefined>((resolve, reject) => {
    request.on("error", (error) => (leftAt === undefined ? reject(error) : resolve(undefined)));
    request.on("response", resolve);
    request.end(body);
  });
  let tokens = 0;
  let end: Reading["end"];
  if (response === undefined) return { status: 0, tokens, end, leftAt };
  const { statusCode: status = 0 } = response;
  await beforeReading?.();
  try {
    for await (const frame of framesOf(response as unknown as ReadableStream<Uint8Array>)) {
      if (frame.startsWith("event: end"))
        end = JSON.parse(/^data: (.*)$/m.exec(frame)?.[1] ?? "") as { reason: string };
      if (tokenOf(frame) === undefined) continue;
      tokens += 1;
      await onToken?.(tokens);
      if (tokens >= leaveAfter) leave();
      if (leftAt !== undefined) break;
    }
  } catch (error) {
    if (leftAt === undefined) throw error;
  }
  return { status, tokens, end, leftAt };
}
