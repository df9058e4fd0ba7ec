import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { flush, outcomeOf, rejection, thrown } from "../../../test/support/deferred.js";
import { sometime } from "../../../test/support/plan.js";
import {
  ChannelClosedError,
  createChannel,
  createScope,
  isCancelled,
  select,
  type Scope,
} from "../../index.js";

describe("createChannel()", () => {
  it("makes a rendezvous: a send waits for its receiver", async () => {
    const scope = createScope();
    const channel = createChannel<number>();
    const sent = channel.send(scope, 1);
    expect(await outcomeOf(sent)).toBe("pending");
    expect(await channel.receive(scope)).toBe(1);
    await sent;
    const received = channel.receive(scope);
    expect(await outcomeOf(received)).toBe("pending");
    await channel.send(scope, 2);
    expect(await received).toBe(2);
    await scope.close();
  });

  it("buffers as many values as its capacity, and makes the next sender wait", async () => {
    const scope = createScope();
    const channel = createChannel<number>(2);
    expect(channel.capacity).toBe(2);
    await channel.send(scope, 1);
    await channel.send(scope, 2);
    const third = channel.send(scope, 3);
    expect(await outcomeOf(third)).toBe("pending");
    expect(await channel.receive(scope)).toBe(1);
    await third;
    expect([await channel.receive(scope), await channel.receive(scope)]).toEqual([2, 3]);
    await scope.close();
  });

  it("serves senders and receivers in the order of their calls", async () => {
    const scope = createScope();
    const channel = createChannel<number>();
    const received = Promise.all([channel.receive(scope), channel.receive(scope)]);
    const sent = [1, 2, 3, 4].map((n) => channel.send(scope, n));
    expect(await received).toEqual([1, 2]);
    expect([await channel.receive(scope), await channel.receive(scope)]).toEqual([3, 4]);
    await Promise.all(sent);
    await scope.close();
  });

  it.each([-1, 1.5, NaN, -Infinity])("throws a RangeError for a capacity of %s", (capacity) => {
    expect(thrown(() => createChannel(capacity))).toBeInstanceOf(RangeError);
  });

  it("throws a TypeError for a capacity that is not a number", () => {
    expect(thrown(() => createChannel("1" as never))).toBeInstanceOf(TypeError);
  });

  it("tryReceive() takes from the buffer, from a sender that waits, or nothing", async () => {
    const scope = createScope();
    const channel = createChannel<string | undefined>(1);
    expect(channel.tryReceive()).toBeUndefined();
    await channel.send(scope, undefined);
    const second = channel.send(scope, "second");
    expect(channel.tryReceive()).toEqual({ closed: false, value: undefined });
    await second;
    expect(channel.tryReceive()).toEqual({ closed: false, value: "second" });
    await scope.close();
  });

  it("tryReceive() distinguishes an empty channel from a closed one, and has the cause", async () => {
    const scope = createScope();
    const channel = createChannel<number>(2);
    await channel.send(scope, 1);
    await channel.send(scope, 2);
    const waits = rejection(channel.send(scope, 3));
    const cause = new Error("producer is gone");
    channel.close(cause);
    expect(await waits).toBeInstanceOf(ChannelClosedError);
    expect(channel.tryReceive()).toEqual({ closed: false, value: 1 }); // the buffer first
    expect(channel.tryReceive()).toEqual({ closed: false, value: 2 });
    expect(channel.tryReceive()).toEqual({ closed: true, cause });
    expect(channel.tryReceive()).toEqual({ closed: true, cause }); // each time
    const other = createChannel<number>();
    expect(other.tryReceive()).toBeUndefined();
    other.close();
    expect(other.tryReceive()).toEqual({ closed: true, cause: undefined });
    await scope.close();
  });

  it("trySend() gives a value to a receiver that waits, or to the buffer, or returns false", async () => {
    const scope = createScope();
    const channel = createChannel<number | undefined>(1);
    const received = channel.receive(scope);
    expect(channel.trySend(1)).toBe(true);
    expect(await received).toBe(1);
    expect(channel.trySend(undefined)).toBe(true); // into the buffer
    expect(channel.trySend(3)).toBe(false); // full
    expect(channel.tryReceive()).toEqual({ closed: false, value: undefined });
    expect(channel.trySend(4)).toBe(true);
    channel.close();
    expect(channel.trySend(5)).toBe(false);
    expect(await channel.receive(scope)).toBe(4);
    const rendezvous = createChannel<number>();
    expect(rendezvous.trySend(1)).toBe(false); // nobody waits
    await scope.close();
  });

  it("trySend() serves an iteration and a select, in their turn", async () => {
    const scope = createScope();
    const channel = createChannel<number>();
    const next = channel.values(scope).next();
    const chosen = select(scope, { value: channel });
    expect([channel.trySend(1), channel.trySend(2), channel.trySend(3)]).toEqual([true, true, false]);
    expect(await next).toEqual({ done: false, value: 1 });
    expect(await chosen).toEqual({ key: "value", value: 2 });
    await scope.close();
  });

  it("trySend() does not overtake a sender that waits, and gives nothing to a receiver that was cancelled", async () => {
    const scope = createScope();
    const other = createScope();
    const channel = createChannel<number>(1);
    await channel.send(scope, 1);
    const second = channel.send(scope, 2);
    expect(channel.trySend(3)).toBe(false);
    expect(channel.tryReceive()).toEqual({ closed: false, value: 1 });
    await second;
    expect(channel.trySend(3)).toBe(false); // the second value has taken the place
    channel.tryReceive();
    const cancelled = rejection(channel.receive(other));
    other.cancel();
    expect(channel.trySend(4)).toBe(true); // into the buffer
    expect(await cancelled).toBe(other.reason);
    expect(channel.tryReceive()).toEqual({ closed: false, value: 4 });
    await scope.close();
  });

  it("trySend() needs no scope: it works from an event, also when the scope of the receiver has ended", () => {
    const channel = createChannel<string>(1);
    expect(channel.trySend("early")).toBe(true);
    channel.close();
    expect(channel.trySend("late")).toBe(false); // no error in the emitter
  });

  it("closed says whether the channel was closed, although values are left", async () => {
    const scope = createScope();
    const channel = createChannel<number>(1);
    expect(channel.closed).toBe(false);
    await channel.send(scope, 1);
    channel.close();
    expect(channel.closed).toBe(true);
    expect(await channel.receive(scope)).toBe(1);
    expect(channel.closed).toBe(true);
    await scope.close();
  });

  it("rejects with the reason in a scope that is cancelled already, and passes no value", async () => {
    const scope = createScope();
    const other = createScope();
    const channel = createChannel<number>(1);
    scope.cancel();
    expect(await rejection(channel.send(scope, 1))).toBe(scope.reason);
    expect(channel.tryReceive()).toBeUndefined();
    await channel.send(other, 2);
    expect(await rejection(channel.receive(scope))).toBe(scope.reason);
    expect(channel.tryReceive()).toEqual({ closed: false, value: 2 });
    await other.close();
  });

  it("leaves the queue when its scope is cancelled", async () => {
    const [scope, other] = [createScope(), createScope()];
    const channel = createChannel<number>();
    const cancelled = channel.receive(scope);
    const received = channel.receive(other);
    scope.cancel();
    expect(await rejection(cancelled)).toBe(scope.reason);
    await channel.send(other, 1);
    expect(await received).toBe(1);
    const scope2 = createScope();
    const unsent = channel.send(scope2, 2);
    scope2.cancel();
    expect(await rejection(unsent)).toBe(scope2.reason);
    expect(channel.tryReceive()).toBeUndefined();
    await other.close();
  });

  it.each(["send", "receive"] as const)("%s() rejects a value that is not a scope", async (method) => {
    const channel = createChannel<number>();
    expect(await rejection(channel[method]({} as Scope, 1))).toBeInstanceOf(TypeError);
    expect(channel.tryReceive()).toBeUndefined();
  });
});

describe("close()", () => {
  it("delivers the buffered values, and rejects pending and later sends", async () => {
    const scope = createScope();
    const cause = new Error("upstream");
    const channel = createChannel<number>(1);
    await channel.send(scope, 1);
    const waiting = channel.send(scope, 2);
    channel.close(cause);
    const error = await rejection(waiting);
    expect(error).toBeInstanceOf(ChannelClosedError);
    expect(error).toMatchObject({ cause, code: "BOUGH_CHANNEL_CLOSED", name: "ChannelClosedError" });
    expect(await rejection(channel.send(scope, 3))).toMatchObject({ cause });
    expect(await channel.receive(scope)).toBe(1);
    expect(await rejection(channel.receive(scope))).toMatchObject({ cause });
    await scope.close();
  });

  it("rejects pending receives", async () => {
    const scope = createScope();
    const channel = createChannel<number>();
    const waiting = channel.receive(scope);
    channel.close();
    const error = await rejection(waiting);
    expect(error).toBeInstanceOf(ChannelClosedError);
    expect((error as Error).cause).toBeUndefined();
    await scope.close();
  });

  it("has no effect the second time, and the first cause remains", async () => {
    const scope = createScope();
    const channel = createChannel<number>();
    channel.close("first");
    channel.close("second");
    expect(await rejection(channel.receive(scope))).toMatchObject({ cause: "first" });
    await scope.close();
  });

  it("ends iterations after the buffered values, or makes them throw the cause", async () => {
    const scope = createScope();
    const channel = createChannel<number>(2);
    await channel.send(scope, 1);
    await channel.send(scope, 2);
    channel.close();
    const received: number[] = [];
    for await (const n of channel) received.push(n);
    expect(received).toEqual([1, 2]);
    const failed = createChannel<number>();
    const values = failed.values(scope);
    const next = values.next();
    const cause = new Error("upstream");
    failed.close(cause);
    expect(await rejection(next)).toBe(cause);
    expect(await values.next()).toEqual({ done: true, value: undefined });
    expect(await rejection(failed[Symbol.asyncIterator]().next())).toBe(cause);
    await scope.close();
  });
});

describe("values()", () => {
  it("rejects with the reason when its scope is cancelled, and takes nothing more", async () => {
    const [scope, other] = [createScope(), createScope()];
    const channel = createChannel<number>();
    const values = channel.values(scope);
    const next = values.next();
    scope.cancel();
    expect(await rejection(next)).toBe(scope.reason);
    expect(await values.next()).toEqual({ done: true, value: undefined });
    const sent = channel.send(other, 1);
    expect(await outcomeOf(sent)).toBe("pending");
    other.cancel();
  });

  it("rejects with the reason in a scope that is cancelled already", async () => {
    const scope = createScope();
    scope.cancel();
    const channel = createChannel<number>();
    expect(await rejection(channel.values(scope).next())).toBe(scope.reason);
  });

  it("leaves the channel open when its loop is left, and withdraws a pending next()", async () => {
    const scope = createScope();
    const channel = createChannel<number>(1);
    await channel.send(scope, 1);
    for await (const n of channel.values(scope)) {
      expect(n).toBe(1);
      break;
    }
    const iteration = channel.values(scope);
    const next = iteration.next();
    await iteration.return?.();
    expect(await next).toEqual({ done: true, value: undefined });
    await channel.send(scope, 2);
    expect(channel.tryReceive()).toEqual({ closed: false, value: 2 });
    expect(await iteration.next()).toEqual({ done: true, value: undefined });
    await scope.close();
  });

  it("throws for a value that is not a scope", () => {
    expect(thrown(() => createChannel().values({} as Scope))).toBeInstanceOf(TypeError);
  });

  it("yields each value in only one of several iterations", async () => {
    const scope = createScope();
    const channel = createChannel<number>();
    const received: number[] = [];
    const consume = async (): Promise<void> => {
      for await (const n of channel) received.push(n);
    };
    const consumers = [consume(), consume()];
    for (let n = 0; n < 10; n++) await channel.send(scope, n);
    channel.close();
    await Promise.all(consumers);
    expect(received.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await scope.close();
  });
});

describe("a channel", () => {
  it("rule 22: delivers each message exactly once and in order, for every order of cancellations", async () => {
    const actors = fc.array(
      fc.record({ sends: fc.boolean(), times: fc.integer({ min: 1, max: 3 }), dies: fc.boolean() }),
      {
        minLength: 2,
        maxLength: 8,
      },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.integer({ min: 0, max: 3 }),
        actors,
        fc.boolean(),
        async (schedule, capacity, list, closes) => {
          const channel = createChannel<string>(capacity);
          const sent: string[] = [];
          const received: string[] = [];
          const scopes: Scope[] = [];
          const ended = list.map(async ({ sends, times, dies }, id) => {
            const scope = createScope();
            scopes.push(scope);
            if (dies) sometime(schedule, `cancel ${id}`, () => scope.cancel());
            try {
              for (let n = 0; n < times; n++) {
                await schedule.schedule(Promise.resolve(), `${id}`);
                if (!sends) received.push(await channel.receive(scope));
                else {
                  const message = `${id}.${n}`;
                  await channel.send(scope, message);
                  sent.push(message);
                }
              }
            } catch (error) {
              if (!isCancelled(error) && !(error instanceof ChannelClosedError)) throw error;
            }
          });
          if (closes) sometime(schedule, "close", () => channel.close());
          await schedule.waitIdle();
          await flush();
          for (const scope of scopes) scope.cancel(); // who still waits has sent or received nothing
          await Promise.all(ended);
          for (let left = channel.tryReceive(); left?.closed === false; left = channel.tryReceive())
            received.push(left.value);
          expect(received.toSorted()).toEqual(sent.toSorted());
          for (const [id] of list.entries()) {
            const own = received.filter((message) => message.startsWith(`${id}.`));
            expect(own).toHaveLength(new Set(own).size);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
