import { ChannelClosedError, close, type Scope, type SelfCleaning } from "bough";
import { createWriter, type Sink, type Writer } from "./writer.js";

/**
 * A writer that can be replaced while others write: what the original keeps in an `atomic.Value`. No message is lost, none
 * is handled twice, and those of the old sink are handled before `replace` resolves.
 */
export class HotWriter {
  #current: SelfCleaning<Writer>;

  constructor(sink: Sink) {
    this.#current = createWriter(sink);
  }

  async write(scope: Scope, message: string): Promise<void> {
    for (;;) {
      const writer = this.#current;
      try {
        return await writer.write(scope, message);
      } catch (error) {
        // It was replaced while we waited for room, and has not taken the message: its successor shall.
        if (!(error instanceof ChannelClosedError) || writer === this.#current) throw error;
      }
    }
  }

  /** From now on messages go to `sink`. Resolves when the old sink has received the messages that were queued for it. */
  async replace(sink: Sink): Promise<void> {
    const old = this.#current;
    this.#current = createWriter(sink);
    await old.end();
    await close(old);
  }

  /** Takes no more messages; resolves when the last one is handled. */
  async end(): Promise<void> {
    await this.#current.end();
    await close(this.#current);
  }
}
