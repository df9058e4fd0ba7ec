import { createScope, sleep, spawn, type Scope, type ScopeHandle } from "bough";

interface Queue {
  messages: string[];
}

/** Sends messages in the background, from its construction until `close()`. */
export class Outbox implements AsyncDisposable {
  readonly #scope: ScopeHandle;
  readonly #queue: Queue = { messages: [] };

  constructor(parent: Scope, send: (messages: string[]) => Promise<void>) {
    this.#scope = createScope(parent, { name: "outbox" });
    const queue = this.#queue; // workers refer to the queue, not to `this`: a dropped outbox can be collected
    const flush = async (): Promise<void> => {
      const messages = queue.messages.splice(0);
      if (messages.length > 0) await send(messages);
    };
    this.#scope.defer(flush); // sends the remaining messages on `close()`, after the worker has stopped
    spawn(this.#scope, async (task) => {
      for (;;) {
        await sleep(task, 1_000);
        await flush();
      }
    });
  }

  post(message: string): void {
    this.#queue.messages.push(message);
  }

  close(): Promise<void> {
    return this.#scope.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
