import { describe, expect, it } from "vitest";
import { createChannel, createSemaphore, ScopeClosedError, select, sending, withScope } from "../index.js";
import type { Channel, Scope, Semaphore } from "../index.js";
import { rejection } from "../../test/support/deferred.js";

interface Place {
  readonly channel: Channel<string>;
  readonly semaphore: Semaphore;
}

/** Everything that waits in a queue that others use, too. */
const waits: Record<string, (scope: Scope, place: Place) => Promise<unknown>> = {
  receive: (scope, { channel }) => channel.receive(scope),
  "next() of values": (scope, { channel }) => channel.values(scope)[Symbol.asyncIterator]().next(),
  "select on a receive": (scope, { channel }) => select(scope, { value: channel }),
  "select on a send": (scope, { channel }) => select(scope, { sent: sending(channel, "mine") }),
  send: (scope, { channel }) => channel.send(scope, "mine"),
  acquire: (scope, { semaphore }) => semaphore.acquire(scope),
};

async function makePlace(): Promise<Place & { permit: Disposable }> {
  const semaphore = createSemaphore(1);
  const permit = await withScope((scope) => semaphore.acquire(scope));
  return { channel: createChannel<string>(), semaphore, permit };
}

describe.each(Object.keys(waits))("%s", (name) => {
  const wait = waits[name] as (typeof waits)[string];

  it("rejects and leaves its queue when its scope ends", async () => {
    const place = await makePlace();
    let failed: Promise<unknown> | undefined;
    const ended = await withScope((scope) => {
      failed = rejection(wait(scope, place));
      return scope;
    });
    expect(ended.state).toBe("closed");
    expect(await failed).toBeInstanceOf(ScopeClosedError);
    // Whoever comes next gets what there is.
    place.permit[Symbol.dispose]();
    await withScope(async (scope) => {
      expect(place.channel.tryReceive()).toBeUndefined();
      const received = place.channel.receive(scope);
      await place.channel.send(scope, "next");
      expect(await received).toBe("next");
      (await place.semaphore.acquire(scope))[Symbol.dispose]();
    });
  });

  it("rejects at once in a scope that has ended", async () => {
    const place = await makePlace();
    const ended = await withScope((scope) => scope);
    expect(await rejection(wait(ended, place))).toBeInstanceOf(ScopeClosedError);
    expect(place.channel.tryReceive()).toBeUndefined();
  });

  it("rejects with the reason of a scope that is cancelled", async () => {
    const place = await makePlace();
    let failed: Promise<unknown> | undefined;
    const reason = await rejection(
      withScope(async (scope) => {
        failed = rejection(wait(scope, place));
        scope.cancel();
        scope.throwIfCancelled();
      }),
    );
    expect(await failed).toBe(reason);
  });
});
