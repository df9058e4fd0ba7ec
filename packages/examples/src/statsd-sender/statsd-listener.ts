import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createChannel, type Channel, type Scope } from "bough";

/** A statsd server, as far as counters go. */
export interface StatsdListener {
  readonly port: number;
  /** The received packets, in order. */
  readonly packets: Channel<string>;
  /** The sums by name; sampled counters are scaled up. */
  readonly counters: ReadonlyMap<string, number>;
}

/** Listens on a loopback port of its own until `scope` ends. */
export async function openStatsd(scope: Scope): Promise<StatsdListener> {
  const counters = new Map<string, number>();
  const packets = createChannel<string>(Infinity);
  const socket = createSocket("udp4");
  scope.defer(() => new Promise<void>((resolve) => void socket.close(resolve)));
  scope.defer(() => packets.close());
  socket.on("message", (message) => {
    const packet = message.toString();
    for (const line of packet.split("\n")) count(counters, line);
    void packets.send(scope, packet);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening", { signal: scope.signal });
  return { port: socket.address().port, packets, counters };
}

/** A line is `name:value|c`, or `name:value|c|@rate` if only that share of the calls was sent. */
function count(counters: Map<string, number>, line: string): void {
  const [, name, value, rate = "1"] = /^([^:]+):(-?\d+)\|c(?:\|@([\d.]+))?$/.exec(line) ?? [];
  if (name === undefined) return;
  counters.set(name, (counters.get(name) ?? 0) + Number(value) / Number(rate));
}
