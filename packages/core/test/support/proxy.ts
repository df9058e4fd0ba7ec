import { connect, createServer, type Socket } from "node:net";
import { once } from "node:events";

/** Where a server listens: a port of this machine, or a Unix socket. */
export type Address = { readonly port: number } | { readonly path: string };

/**
 * A server between a client and its server, for one process: it can hold back everything, or only what comes on the
 * connections that receive notifications.
 */
export class Proxy {
  readonly #server = createServer((client) => this.#accept(client));
  readonly #pairs = new Set<{ client: Socket; server: Socket; isSubscriber: boolean }>();
  readonly #target: Address;
  readonly #subscribes: RegExp;
  #mode: "open" | "cut" | "frozen" | "no hints" | "no answers" = "open";

  /** @param subscribes - What a client sends on a connection that receives notifications. */
  constructor(target: Address, subscribes: RegExp) {
    this.#target = target;
    this.#subscribes = subscribes;
  }

  async listen(address: Address): Promise<number> {
    this.#server.listen({ host: "127.0.0.1", ...address });
    await once(this.#server, "listening");
    const bound = this.#server.address();
    return typeof bound === "object" ? (bound?.port ?? 0) : 0;
  }

  /** Stops all traffic. New connections are accepted and stay silent. Returns a function that repairs this. */
  cut(): () => void {
    return this.#set("cut");
  }

  /** Holds all traffic back until it is repaired, as a server does that is suspended and continues. */
  freeze(): () => void {
    this.#mode = "frozen";
    for (const { client, server } of this.#pairs) for (const each of [client, server]) each.pause();
    return () => {
      this.#mode = "open";
      for (const { client, server } of this.#pairs) for (const each of [client, server]) each.resume();
    };
  }

  /** Drops the answers, while requests have their effect: a connection that is half open. */
  loseAnswers(): () => void {
    return this.#set("no answers");
  }

  /** Notifications get lost. */
  dropHints(): () => void {
    return this.#set("no hints");
  }

  close(): void {
    this.#destroy();
    this.#server.close();
  }

  #set(mode: "cut" | "no hints" | "no answers"): () => void {
    this.#mode = mode;
    return () => {
      this.#mode = "open";
      this.#destroy(); // what was held back is lost
    };
  }

  #destroy(): void {
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
    this.#pairs.clear();
  }

  #accept(client: Socket): void {
    const server = connect(this.#target as { path: string });
    const pair = { client, server, isSubscriber: false };
    this.#pairs.add(pair);
    client.on("data", (chunk: Buffer) => {
      if (this.#subscribes.test(chunk.toString("latin1"))) pair.isSubscriber = true;
      if (this.#mode !== "cut") server.write(chunk);
    });
    server.on("data", (chunk: Buffer) => {
      if (
        this.#mode === "cut" ||
        this.#mode === "no answers" ||
        (this.#mode === "no hints" && pair.isSubscriber)
      )
        return;
      client.write(chunk);
    });
    if (this.#mode === "frozen") for (const each of [client, server]) each.pause();
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on("error", () => {});
      from.on("close", () => {
        this.#pairs.delete(pair);
        if (this.#mode !== "cut" && this.#mode !== "no answers") to.destroy();
      });
    }
  }
}
