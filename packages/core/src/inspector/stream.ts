import type { IncomingMessage, ServerResponse } from "node:http";
import { realTimers } from "../kernel/platform.js";
import { hasClosed } from "../http/messages.js";

/** The callbacks of {@link Streams}. */
export interface StreamsOptions {
  /** Returns the data of the next event. */
  readonly next: () => Promise<string>;
  /** Returns the time until the next event, in ms. */
  readonly pause: () => number;
  /** Called when the first page is opened. */
  readonly onFirstOpen: () => void;
  /** Called when the last page has been closed. */
  readonly onLastClose: () => void;
}

/** The open pages, with a stream of server-sent events for each. */
export class Streams {
  readonly #open = new Map<ServerResponse, unknown>();
  readonly #options: StreamsOptions;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isTicking = false;

  constructor(options: StreamsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#open.size;
  }

  add(request: IncomingMessage, response: ServerResponse): void {
    // The client may have disconnected before the handler was called: then `close` has been emitted already.
    if (hasClosed(request, response)) return;
    const { socket } = request;
    // An open page keeps neither the process nor a closed server alive.
    socket.unref?.();
    if (this.#open.size === 0) this.#options.onFirstOpen();
    this.#open.set(response, socket);
    response.on("error", () => {});
    response.once("close", () => this.#remove(response));
    response.write("retry: 1000\n\n");
    void this.#tick();
  }

  end(): void {
    for (const response of this.#open.keys()) response.end();
  }

  #remove(response: ServerResponse): void {
    this.#open.delete(response);
    if (this.#open.size > 0) return;
    realTimers.clearTimeout.call(globalThis, this.#timer);
    this.#timer = undefined;
    this.#options.onLastClose();
  }

  async #tick(): Promise<void> {
    if (this.#isTicking) return;
    this.#isTicking = true;
    realTimers.clearTimeout.call(globalThis, this.#timer);
    try {
      const event = await this.#event();
      for (const [response, socket] of this.#open) {
        if (socketServer(socket)?.listening === false) response.end();
        // A slow client skips events until it has read the previous one.
        else if (!response.writableNeedDrain) response.write(event);
      }
    } finally {
      this.#isTicking = false;
    }
    // The last page may have been closed during the look.
    if (this.#open.size === 0) return this.#options.onLastClose();
    this.#timer = realTimers.setTimeout.call(globalThis, () => void this.#tick(), this.#options.pause());
    this.#timer.unref();
  }

  async #event(): Promise<string> {
    try {
      return `data: ${await this.#options.next()}\n\n`;
    } catch (error) {
      return `event: problem\ndata: ${JSON.stringify(error instanceof Error ? error.message : "The tree can't be read.")}\n\n`;
    }
  }
}

/** The server that has accepted the connection. */
function socketServer(socket: unknown): { readonly listening: boolean } | undefined {
  return (socket as { readonly server?: { readonly listening: boolean } }).server;
}
