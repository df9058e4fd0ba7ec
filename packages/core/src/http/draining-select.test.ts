import { describe, expect, it } from "vitest";
import { createChannel, createScope, select, sending } from "../index.js";
import { flush } from "../../test/support/deferred.js";
import { consume, setUp } from "../../test/support/draining.js";

describe("rule 32: a select that sends to a channel and receives from it", () => {
  it("receives from another task, in a process that has a server", async () => {
    const { scope, job, finish, drain } = setUp();
    const exchange = createChannel<string>();
    const other = createScope({ onOrphan: "ignore" });
    for (const own of [job, scope, other]) {
      const chosen = select(own, { sent: sending(exchange, "own"), received: exchange });
      await exchange.send(other, "from the other");
      expect(await chosen).toEqual({ key: "received", value: "from the other" });
    }
    expect(exchange.tryReceive()).toBeUndefined();
    finish();
    await drain();
    await other.close();
  });

  it.each([0, 1])(
    "once draining, receives what running work sends, and its own value stays (capacity %i)",
    async (capacity) => {
      const { scope, job, finish, taken, drain } = setUp();
      const lines = createChannel<string>(capacity);
      if (capacity > 0) lines.trySend("before");
      const report = drain();
      consume(scope, taken, (own) => select(own, { sent: sending(lines, "own"), received: lines }));
      await flush();
      expect(taken).toEqual([]);
      await lines.send(job, "work");
      await flush();
      const received = { key: "received", value: capacity === 0 ? "work" : "before" };
      expect(taken).toEqual([received]);
      expect(lines.tryReceive()).toEqual(capacity === 0 ? undefined : { closed: false, value: "work" });
      expect(lines.tryReceive()).toBeUndefined();
      finish();
      await report;
    },
  );

  it("once its value has gone to a daemon that waited for it, takes no other value", async () => {
    const { scope, job, finish, taken, drain } = setUp();
    const [lines, other] = [createChannel<string>(), createChannel<string>()];
    const feed = createScope({ onOrphan: "ignore" });
    const report = drain();
    const fed = lines.send(feed, "fed");
    for (let count = 0; count < 2; count++) consume(scope, taken, (own) => lines.receive(own));
    await flush();
    expect(taken).toEqual([]);
    const chosen = select(job, { sent: sending(lines, "work"), received: other });
    await fed;
    expect((await chosen).key).toBe("sent");
    await flush();
    expect(taken).toEqual(["fed", "work"]);
    expect(other.trySend("lost")).toBe(false);
    finish();
    await report;
    await feed.close();
  });
});
