import type { IncomingMessage, ServerResponse } from "node:http";
import { realTimers } from "../kernel/platform.js";
import { isOver } from "../http/messages.js";

/** The pages that are open: a stream of server-sent events for each. */
export class Streams {
  readonly #open = new Map<ServerResponse, unknown>();
  readonly #interval: number;
  readonly #next: () => Promise<string>;
  readonly #idle: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isTicking = false;

  /**
   * @param next - Makes the data of the next event.
   * @param idle - Called when the last page has been closed.
   */
  constructor(interval: number, next: () => Promise<string>, idle: () => void) {
    this.#interval = interval;
    this.#next = next;
    this.#idle = idle;
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
    this.#idle();
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
    if (this.#open.size === 0) return this.#idle();
    this.#timer = realTimers.setTimeout.call(globalThis, () => void this.#tick(), this.#interval);
    this.#timer.unref();
  }

  async #event(): Promise<string> {
    try {
      return `data: ${await this.#next()}\n\n`;
    } catch (error) {
      return `event: trouble\ndata: ${JSON.stringify(error instanceof Error ? error.message : "The tree can't be read.")}\n\n`;
    }
  }
}

/** The server that has accepted a connection. */
function socketServer(socket: unknown): { readonly listening: boolean } | undefined {
  return (socket as { readonly server?: { readonly listening: boolean } }).server;
}
