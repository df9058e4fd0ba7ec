import { close, createScope, isCancelled, type ScopeHandle } from "bough";
import { collectGarbage } from "bough/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createBufferedSender, liveFlushers } from "./buffered-sender.js";
import { openStatsd, type StatsdListener } from "./statsd-listener.js";

let scope: ScopeHandle;
let statsd: StatsdListener;
beforeEach(async () => {
  scope = createScope({ name: "test" });
  statsd = await openStatsd(scope);
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  await scope.close();
});

/** The next packet, over the wire. */
const packet = (): Promise<string> => statsd.packets.receive(scope);

describe("createBufferedSender()", () => {
  it("sends the counts at each interval, and nothing when there are none", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
    const sender = createBufferedSender({ port: statsd.port, flushInterval: 300 });
    sender.increment("a");
    sender.increment("b", -2);
    await vi.advanceTimersByTimeAsync(299);
    sender.increment("c");
    await vi.advanceTimersByTimeAsync(1);
    expect(await packet()).toBe("a:1|c\nb:-2|c\nc:1|c");
    await vi.advanceTimersByTimeAsync(300);
    sender.increment("d");
    await vi.advanceTimersByTimeAsync(300);
    expect(await packet()).toBe("d:1|c");
    await close(sender);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("makes packets of at most flushBytes, and loses no count", async () => {
    const sender = createBufferedSender({ port: statsd.port, flushInterval: 60_000, flushBytes: 100 });
    for (let call = 0; call < 50; call += 1) sender.increment("über");
    await close(sender);
    const packets: string[] = [];
    while (packets.join("\n").split("\n").length < 50) packets.push(await packet());
    expect(Math.max(...packets.map((each) => Buffer.byteLength(each)))).toBeLessThanOrEqual(100);
    expect(packets).toHaveLength(5);
    expect(statsd.counters.get("über")).toBe(50);
  });

  it("samples, and the server scales the sum up", async () => {
    const sender = createBufferedSender({ port: statsd.port });
    const random = vi.spyOn(Math, "random").mockReturnValueOnce(0.1).mockReturnValueOnce(0.099);
    sender.increment("stat", 1, 0.1);
    sender.increment("stat", 1, 0.1);
    expect(random).toHaveBeenCalledTimes(2);
    await close(sender);
    expect(await packet()).toBe("stat:1|c|@0.1");
    expect(statsd.counters.get("stat")).toBe(10);
  });

  it("stops its flusher when it is dropped, and sends its buffer", async () => {
    (() => createBufferedSender({ port: statsd.port, flushInterval: 60_000 }).increment("last words"))();
    expect(liveFlushers()).toBe(1);
    await collectGarbage();
    await vi.waitFor(() => expect(liveFlushers()).toBe(0), 10_000);
    expect(await packet()).toBe("last words:1|c");
  });

  it("keeps its flusher as long as it is held", async () => {
    const sender = createBufferedSender({ port: statsd.port, flushInterval: 60_000 });
    await collectGarbage();
    expect(liveFlushers()).toBe(1);
    await close(sender);
    expect(liveFlushers()).toBe(0);
  });
});

describe("close() of a buffered sender", () => {
  it("sends its buffer, then closes the socket", async () => {
    const sockets = (): number =>
      process.getActiveResourcesInfo().filter((type) => type.startsWith("UDP")).length;
    const sender = createBufferedSender({ port: statsd.port, flushInterval: 60_000 });
    sender.increment("stat");
    await vi.waitFor(() => expect(sockets()).toBe(2), 10_000);
    await close(sender);
    expect(await packet()).toBe("stat:1|c");
    await vi.waitFor(() => expect(sockets()).toBe(1), 10_000); // the server's
    await close(sender);
    expect(statsd.packets.tryReceive()).toBeUndefined();
  });

  it("makes increment() throw: nobody would send it", async () => {
    const sender = createBufferedSender({ port: statsd.port });
    await close(sender);
    let error: unknown;
    try {
      sender.increment("stat");
    } catch (caught) {
      error = caught;
    }
    expect(isCancelled(error) && error.kind).toBe("closed");
  });

  it("does not fail when no server listens", async () => {
    const { port } = statsd;
    await scope.close();
    const sender = createBufferedSender({ port });
    sender.increment("stat");
    await close(sender);
    expect(liveFlushers()).toBe(0);
  });
});
