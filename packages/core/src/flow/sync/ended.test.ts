import { describe, expect, it } from "vitest";
import {
  createChannel,
  createSemaphore,
  ScopeClosedError,
  select,
  sending,
  sleep,
  ticker,
  withScope,
} from "../../index.js";
import type { Channel, Scope, Semaphore } from "../../index.js";
import { rejection } from "../../../test/support/deferred.js";

interface Place {
  readonly channel: Channel<string>;
  readonly semaphore: Semaphore;
}

/** Everything that waits: in a queue that others use, too, or for a time. */
const waits: Record<string, (scope: Scope, place: Place) => Promise<unknown>> = {
  receive: (scope, { channel }) => channel.receive(scope),
  "next() of values": (scope, { channel }) => channel.values(scope)[Symbol.asyncIterator]().next(),
  "select on a receive": (scope, { channel }) => select(scope, { value: channel }),
  "select on a send": (scope, { channel }) => select(scope, { sent: sending(channel, "mine") }),
  send: (scope, { channel }) => channel.send(scope, "mine"),
  acquire: (scope, { semaphore }) => semaphore.acquire(scope),
  sleep: (scope) => sleep(scope, 60_000),
  "sleep for ever": (scope) => sleep(scope, Infinity),
  "next() of a ticker": (scope) => ticker(scope, 60_000).next(),
  "select on a timeout": (scope) => select(scope, { late: 60_000 }),
};

/** Of Node's own: what keeps a process from ending. */
function timerCount(): number {
  return process.getActiveResourcesInfo().filter((type) => type === "Timeout").length;
}

async function makePlace(): Promise<Place & { permit: Disposable }> {
  const semaphore = createSemaphore(1);
  const permit = await withScope((scope) => semaphore.acquire(scope));
  return { channel: createChannel<string>(), semaphore, permit };
}

describe.each(Object.keys(waits))("%s", (name) => {
  const wait = waits[name] as (typeof waits)[string];

  it("rule 17: rejects, leaves its queue and clears its timer when its scope ends", async () => {
    const place = await makePlace();
    const timers = timerCount();
    let failed: Promise<unknown> | undefined;
    const ended = await withScope((scope) => {
      failed = rejection(wait(scope, place));
      return scope;
    });
    expect(ended.state).toBe("closed");
    expect(timerCount()).toBe(timers);
    expect(await failed).toBeInstanceOf(ScopeClosedError);
    // The next caller gets the value or the permit.
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
