import type { IncomingMessage, ServerResponse } from "node:http";
import { realTimers } from "../kernel/platform.js";
import { isOver } from "../http/messages.js";

/** What {@link Streams} asks and tells. */
export interface StreamsOptions {
  /** Makes the data of the next event. */
  readonly next: () => Promise<string>;
  /** How long to wait for the next event, in ms. */
  readonly pause: () => number;
  /** Called when the first page is opened. */
  readonly begin: () => void;
  /** Called when the last page has been closed. */
  readonly idle: () => void;
}

/** The pages that are open: a stream of server-sent events for each. */
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
    // The client may have gone while a framework did something before the handler: no event would tell.
    if (isOver(request, response)) return;
    const { socket } = request;
    // A page that is open keeps neither the process nor a server that is closed alive.
    socket.unref?.();
    if (this.#open.size === 0) this.#options.begin();
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
    this.#options.idle();
  }

  async #tick(): Promise<void> {
    if (this.#isTicking) return;
    this.#isTicking = true;
    realTimers.clearTimeout.call(globalThis, this.#timer);
    try {
      const event = await this.#event();
      for (const [response, socket] of this.#open) {
        if (socketServer(socket)?.listening === false) response.end();
        // A client that has not read the last event gets the newest one when it has.
        else if (!response.writableNeedDrain) response.write(event);
      }
    } finally {
      this.#isTicking = false;
    }
    // The last page may have been closed while its event was made.
    if (this.#open.size === 0) return this.#options.idle();
    this.#timer = realTimers.setTimeout.call(globalThis, () => void this.#tick(), this.#options.pause());
    this.#timer.unref();
  }

  async #event(): Promise<string> {
    try {
      return `data: ${await this.#options.next()}\n\n`;
    } catch (error) {
      return `event: trouble\ndata: ${JSON.stringify(error instanceof Error ? error.message : "The tree can't be read.")}\n\n`;
    }
  }
}

/** The server that has accepted a connection. */
function socketServer(socket: unknown): { readonly listening: boolean } | undefined {
  return (socket as { readonly server?: { readonly listening: boolean } }).server;
}
