import { createSocket } from "node:dgram";
import { selfCleaning, spawn, ticker, type Scope, type SelfCleaning } from "bough";

/** Sends one packet; resolves when the system has it. */
type Send = (packet: string) => Promise<void>;

export interface SenderOptions {
  readonly host?: string;
  readonly port: number;
  /** Milliseconds from one flush to the next. Default 300. */
  readonly flushInterval?: number;
  /** The most bytes of a packet. Default 1,432: what fits an Ethernet frame. */
  readonly flushBytes?: number;
}

/** Collects counters, and sends many in one packet. */
export class BufferedSender {
  readonly #scope: Scope;
  readonly #send: Send;
  readonly #flushBytes: number;
  #lines: string[] = [];
  #bytes = 0;

  constructor(scope: Scope, send: Send, flushBytes: number) {
    this.#scope = scope;
    this.#send = send;
    this.#flushBytes = flushBytes;
  }

  /**
   * Counts.
   *
   * @param rate - The share of calls that are sent at all, above 0; the server scales the sum up.
   * @throws {CancelledError} If the sender was closed: nobody would send it any more.
   */
  increment(name: string, value: number = 1, rate: number = 1): void {
    this.#scope.throwIfCancelled();
    if (rate < 1 && Math.random() >= rate) return;
    const line = `${name}:${value}|c${rate < 1 ? `|@${rate}` : ""}`;
    const bytes = Buffer.byteLength(line) + 1;
    if (this.#bytes + bytes > this.#flushBytes) spawn(this.#scope, () => this.flush(), { name: "flush" });
    this.#lines.push(line);
    this.#bytes += bytes;
  }

  /** Sends what is in the buffer. */
  async flush(): Promise<void> {
    if (this.#lines.length === 0) return;
    const packet = this.#lines.join("\n");
    this.#lines = [];
    this.#bytes = 0;
    await this.#send(packet);
  }
}

let flushers = 0;

/** How many senders have a live flusher, dropped or not. */
export function liveFlushers(): number {
  return flushers;
}

/**
 * Opens a sender that flushes every `flushInterval`. Dropping it stops the flusher and closes the socket, sooner or
 * later; `await close(sender)` does so now, and sends what is buffered first.
 */
export function createBufferedSender(options: SenderOptions): SelfCleaning<BufferedSender> {
  const { flushInterval = 300, flushBytes = 1_432 } = options;
  return selfCleaning(
    (scope) => {
      // The defers run in reverse, when the flusher has stopped: the last flush, then the socket.
      const send = openUdp(scope, options);
      const sender = new BufferedSender(scope, send, flushBytes);
      scope.defer(() => sender.flush());
      spawn(scope, (scope) => flushRegularly(scope, sender, flushInterval), { name: "flusher" });
      return sender;
    },
    { name: "statsd sender", onOrphan: "ignore", holdsProcess: false },
  );
}

async function flushRegularly(scope: Scope, sender: BufferedSender, interval: number): Promise<void> {
  flushers += 1;
  try {
    for await (const _ of ticker(scope, interval)) await sender.flush();
  } finally {
    flushers -= 1;
  }
}

/** Metrics must not bring a program down: who can't be reached misses them. */
function openUdp(scope: Scope, { host = "127.0.0.1", port }: SenderOptions): Send {
  const socket = createSocket("udp4");
  scope.defer(() => new Promise<void>((resolve) => void socket.close(resolve)));
  return (packet) => new Promise((resolve) => socket.send(packet, port, host, () => resolve()));
}
