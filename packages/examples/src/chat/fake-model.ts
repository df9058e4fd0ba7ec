import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { sleep, type Scope } from "bough";
import { requestOutcome, requestScope, serverScope } from "bough/http";
import { pipe } from "bough/streams";

/** How the fake model answers a question. A question sets it by texts such as `tokens=200`. */
export interface Manner {
  /** How many tokens the answer has. */
  readonly tokens: number;
  /** Milliseconds before the first. */
  readonly first: number;
  /** Milliseconds before each other one. */
  readonly pace: number;
  /** How many characters a token has, at least. */
  readonly size: number;
  /** Identifies the question, to ask later when its generation was stopped. */
  readonly id: number;
}

/** A model that speaks the API of OpenAI over HTTP, and counts the tokens that it generates. */
export class FakeModel {
  /** Tokens of all answers that were asked for. */
  planned = 0;
  generated = 0;
  /** Tokens of stopped answers that were not generated. */
  saved = 0;
  /** Answers that are being generated. */
  running = 0;
  /** By the id of the question: when its reader was found to be gone, by `performance.now()`. */
  readonly stoppedAt: Map<number, number> = new Map();
  readonly #responses = new Set<ServerResponse>();
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  /** Answers that wait for a reader who does not take them. */
  get waiting(): number {
    return [...this.#responses].filter(({ writableNeedDrain }) => writableNeedDrain).length;
  }

  /** Listens on a free port of loopback. Returns the URL of the API. */
  async listen(): Promise<string> {
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  async close(): Promise<void> {
    await serverScope(this.#server).shutdown({ grace: 0 });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const scope = requestScope(request, response);
    this.#responses.add(response);
    this.running += 1;
    let left = 0;
    scope.defer(() => {
      this.#responses.delete(response);
      this.running -= 1;
      this.saved += left;
    });
    try {
      const { messages = [] } = (await json(request)) as { messages?: { content?: string }[] };
      const manner = mannerOf(messages.at(-1)?.content ?? "");
      scope.onCancel(() => this.stoppedAt.set(manner.id, performance.now()));
      left = manner.tokens;
      this.planned += left;
      response.writeHead(200, { "content-type": "text/event-stream" });
      await pipe(
        scope,
        this.#generate(scope, manner, () => (left -= 1)),
        response,
      );
    } catch (error) {
      const { status = 400 } = requestOutcome(request, response, error);
      if (!response.headersSent) response.writeHead(status).end();
    }
  }

  /** Generates a token only when the one before it has been taken. */
  async *#generate(
    scope: Scope,
    { tokens, first, pace, size }: Manner,
    onToken: () => void,
  ): AsyncGenerator<string> {
    for (let index = 0; index < tokens; index++) {
      await sleep(scope, index === 0 ? first : pace);
      this.generated += 1;
      onToken();
      const content = `${words[index % words.length]} `.padEnd(size, ".");
      yield `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;
    }
    yield "data: [DONE]\n\n";
  }
}

const words = "A scope owns what it starts and when it ends nothing that it has started is left behind".split(
  " ",
);

function mannerOf(question: string): Manner {
  const manner = { tokens: 200, first: 120, pace: 25, size: 0, id: 0 };
  for (const [, name = "", value] of question.matchAll(/\b(\w+)=(\d+)/g))
    if (name in manner) manner[name as keyof Manner] = Number(value);
  return manner;
}
