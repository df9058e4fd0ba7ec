// Prints the messages that a statsd server receives from senders that are dropped and from senders that are closed. Then does
// the same for a cache with a janitor, and prints how many background workers each leaves behind.

import { close, createChannel, sleep, withScope, type Channel, type Scope } from "bough";
import { collectGarbage } from "bough/testing";
import { createBufferedSender, liveFlushers } from "./buffered-sender.js";
import { createCache, liveJanitors } from "./cache.js";
import { openStatsd, type StatsdListener } from "./statsd-listener.js";

/** The original's `Process`: makes a sender, uses it, and forgets it. */
function countAndForget(port: number): void {
  const x = createBufferedSender({ port, flushInterval: 20 });
  x.increment("stat");
  x.increment("stat");
  x.increment("other", 40);
}

/** The same with a cache, which is held until its janitor has done something. */
async function cacheAndForget(scope: Scope): Promise<void> {
  const evicted = createChannel<string>(Infinity);
  const cache = createCache<string>(60_000, 10);
  cache.onEvicted = sendTo(scope, evicted);
  cache.set("session", "Ada", 100).set("setting", "dark");
  console.log(`  it has ${cache.size} values; session is ${cache.get("session")}`);
  console.log(`  its janitor deleted ${await evicted.receive(scope)}`);
  console.log(`  it has ${cache.size} value`);
}

/** In a function of its own: a closure keeps everything alive that its function's other closures mention. */
function sendTo(scope: Scope, evicted: Channel<string>): (key: string, value: string) => void {
  return (key, value) => void evicted.send(scope, `${key} (${value})`);
}

/** In a program that lives long it happens by itself, more slowly. */
async function forceCollection(scope: Scope): Promise<void> {
  await collectGarbage();
  await sleep(scope, 100); // finalizers come in their own time
}

/** Receives packets until they hold so many lines. */
async function receiveLines(scope: Scope, { packets }: StatsdListener, count: number): Promise<string[]> {
  const received: string[] = [];
  for (let lines = 0; lines < count;) {
    const packet = await packets.receive(scope);
    received.push(packet);
    lines += packet.split("\n").length;
  }
  return received;
}

await withScope({ timeout: 10_000 }, async (scope) => {
  const statsd = await openStatsd(scope);
  const { port } = statsd;

  console.log("A sender that is forgotten");
  countAndForget(port);
  // At once: from the next turn on it may be collected at any time, and sends what it has then.
  console.log(`  flushers: ${liveFlushers()}`);
  console.log(`  it sent ${JSON.stringify(await statsd.packets.receive(scope))}`);
  await forceCollection(scope);
  console.log(`  flushers after the collection: ${liveFlushers()}`);

  console.log("A sender that is closed, long before its first flush");
  const sender = createBufferedSender({ port, flushInterval: 60_000 });
  for (let call = 0; call < 3; call += 1) sender.increment("stat");
  await close(sender);
  console.log(`  close sent ${JSON.stringify(await statsd.packets.receive(scope))}`);
  console.log(`  flushers: ${liveFlushers()}`);

  console.log("A sender that fills its packets, 512 bytes each");
  const busy = createBufferedSender({ port, flushInterval: 60_000, flushBytes: 512 });
  for (let call = 0; call < 1_000; call += 1) busy.increment("busy");
  await close(busy);
  const packets = await receiveLines(scope, statsd, 1_000);
  console.log(`  1000 counts arrived in ${packets.length} packets`);
  console.log(`  the server has ${JSON.stringify(Object.fromEntries(statsd.counters))}`);

  console.log("A cache that is forgotten");
  await cacheAndForget(scope);
  console.log(`  janitors: ${liveJanitors()}`);
  await forceCollection(scope);
  console.log(`  janitors after the collection: ${liveJanitors()}`);
});
