import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection, thrown } from "../../../test/support/deferred.js";
import { sometime } from "../../../test/support/plan.js";
import { untilCancelled } from "../../../test/support/until-cancelled.js";
import {
  ChannelClosedError,
  createChannel,
  createScope,
  isCancelled,
  select,
  sending,
  spawn,
  type Scope,
} from "../../index.js";
import { useFakeTime } from "../../../test/support/fake-time.js";

useFakeTime();

describe("select()", () => {
  it("receives a value that is ready in a channel", async () => {
    const scope = createScope();
    const jobs = createChannel<string>(1);
    await jobs.send(scope, "paint");
    expect(await select(scope, { job: jobs, idle: 100 })).toEqual({ key: "job", value: "paint" });
    expect(vi.getTimerCount()).toBe(0);
    await scope.close();
  });

  it("waits for the first branch that is ready, and withdraws the others", async () => {
    const scope = createScope();
    const [a, b] = [createChannel<number>(), createChannel<number>()];
    const selected = select(scope, { a, b, idle: 100 });
    expect(await outcomeOf(selected)).toBe("pending");
    await b.send(scope, 2);
    expect(await selected).toEqual({ key: "b", value: 2 });
    expect(vi.getTimerCount()).toBe(0);
    const unsent = a.send(scope, 1);
    expect(await outcomeOf(unsent)).toBe("pending"); // the branch on a has left its queue
    expect(a.tryReceive()).toEqual({ closed: false, value: 1 });
    await scope.close();
  });

  it("takes the first branch in the order of the object when several are ready", async () => {
    const scope = createScope();
    const [a, b] = [createChannel<number>(1), createChannel<number>(1)];
    await a.send(scope, 1);
    await b.send(scope, 2);
    expect(await select(scope, { b, a })).toEqual({ key: "b", value: 2 });
    expect(a.tryReceive()).toEqual({ closed: false, value: 1 });
    await scope.close();
  });

  it("sends, and only if that branch is taken", async () => {
    const scope = createScope();
    const [out, other] = [createChannel<string>(), createChannel<number>(1)];
    const selected = select(scope, { sent: sending(out, "hello"), other });
    expect(await out.receive(scope)).toBe("hello");
    expect(await selected).toEqual({ key: "sent", value: undefined });
    await other.send(scope, 1);
    await select(scope, { sent: sending(out, "unsent"), other });
    expect(out.tryReceive()).toBeUndefined();
    await scope.close();
  });

  it("sends at once to a receiver that waits, or into a buffer that has room", async () => {
    const scope = createScope();
    const [direct, buffered] = [createChannel<string>(), createChannel<string>(1)];
    const received = direct.receive(scope);
    expect(await select(scope, { sent: sending(direct, "hello"), idle: 100 })).toMatchObject({ key: "sent" });
    expect(await received).toBe("hello");
    expect(await select(scope, { sent: sending(buffered, "kept"), idle: 100 })).toMatchObject({
      key: "sent",
    });
    expect(buffered.tryReceive()).toEqual({ closed: false, value: "kept" });
    await scope.close();
  });

  it("can send to another select, and never to itself", async () => {
    const scope = createScope();
    const channel = createChannel<number>();
    const both = select(scope, { sent: sending(channel, 1), received: channel });
    expect(await outcomeOf(both)).toBe("pending");
    expect(await select(scope, { value: channel, idle: 100 })).toEqual({ key: "value", value: 1 });
    expect(await both).toEqual({ key: "sent", value: undefined });
    await scope.close();
  });

  it("waits for a task, and does not cancel a task that loses", async () => {
    const scope = createScope();
    const gate = deferred<string>();
    const task = spawn(scope, () => gate.promise);
    const idle = spawn(scope, untilCancelled);
    const selected = select(scope, { task, idle });
    gate.resolve("done");
    expect(await selected).toEqual({ key: "task", value: "done" });
    expect(idle.status).toBe("running");
    expect(await select(scope, { task })).toEqual({ key: "task", value: "done" });
    await scope.close();
  });

  it("rejects with the error of its task", async () => {
    const scope = createScope({ supervise: true });
    const failure = new Error("task");
    const task = spawn(scope, () => Promise.reject(failure));
    expect(await rejection(select(scope, { task, idle: 100 }))).toBe(failure);
    expect(vi.getTimerCount()).toBe(0);
    await scope.close();
  });

  it.each([
    ["nobody waits for it any more: the nearest onError hears of it", false, 1],
    ["somebody else awaits it: the awaiter hears of it", true, 0],
  ])("rule 11: a task that has lost, and fails later, when %s", async (_, awaited, reports) => {
    const failure = new Error("later");
    const onError = vi.fn<(error: unknown) => void>();
    const held = deferred<never>();
    const scope = createScope({ supervise: true, onError });
    const task = spawn(scope, () => held.promise);
    expect(await select(scope, { task, at: Promise.resolve("won") })).toMatchObject({ key: "at" });
    const outcome = awaited ? rejection(task) : undefined;
    held.reject(failure);
    await flush();
    expect(await outcome).toBe(awaited ? failure : undefined);
    expect(onError.mock.calls.map(([error]) => error)).toEqual(Array(reports).fill(failure));
    await scope.close().catch(() => undefined);
  });

  it("rejects with the reason when the then() of a branch cancels its scope", async () => {
    const scope = createScope();
    // oxlint-disable-next-line unicorn/no-thenable -- a thenable is what is tested
    const query: PromiseLike<never> = { then: () => (scope.cancel(), query) };
    expect(await rejection(select(scope, { query }))).toBe(scope.reason);
    await scope.close();
  });

  it("takes a value that the then() of a later branch has sent", async () => {
    const scope = createScope();
    const channel = createChannel<number>();
    let sent: Promise<void> | undefined;
    // oxlint-disable-next-line unicorn/no-thenable -- a thenable is what is tested
    const query: PromiseLike<never> = { then: () => ((sent = channel.send(scope, 1)), query) };
    expect(await select(scope, { channel, query })).toEqual({ key: "channel", value: 1 });
    await sent;
    await scope.close();
  });

  it("leaves one reaction on a promise, however often it loses", async () => {
    const scope = createScope();
    let reactions = 0;
    const promise: PromiseLike<never> = {
      // oxlint-disable-next-line unicorn/no-thenable -- counts its reactions
      then: () => {
        reactions += 1;
        return promise;
      },
    };
    const channel = createChannel<number>(1);
    for (let n = 0; n < 100; n++) {
      await channel.send(scope, n);
      await select(scope, { promise, channel });
    }
    expect(reactions).toBe(1);
    await scope.close();
  });

  it("chooses a timeout case when its time has passed", async () => {
    const scope = createScope();
    const selected = select(scope, {
      channel: createChannel<number>(),
      late: 100,
      later: 200,
      never: Infinity,
    });
    vi.advanceTimersByTime(99);
    expect(await outcomeOf(selected)).toBe("pending");
    vi.advanceTimersByTime(1);
    expect(await selected).toEqual({ key: "late", value: undefined });
    expect(vi.getTimerCount()).toBe(0);
    await scope.close();
  });

  it("rejects with a ChannelClosedError when a channel is closed, before or during the call, and drained", async () => {
    const scope = createScope();
    const cause = new Error("upstream");
    const closed = createChannel<number>(1);
    await closed.send(scope, 1);
    closed.close(cause);
    expect(await select(scope, { closed })).toEqual({ key: "closed", value: 1 });
    expect(await rejection(select(scope, { closed, idle: 100 }))).toMatchObject({ cause });
    expect(await rejection(select(scope, { out: sending(closed, 2) }))).toBeInstanceOf(ChannelClosedError);
    const open = createChannel<number>();
    const selected = select(scope, { open, idle: 100 });
    open.close();
    expect(await rejection(selected)).toBeInstanceOf(ChannelClosedError);
    expect(vi.getTimerCount()).toBe(0);
    await scope.close();
  });

  it("rejects with the reason when its scope is cancelled, and leaves nothing behind", async () => {
    const [scope, other] = [createScope(), createScope()];
    const channel = createChannel<number>();
    const selected = select(scope, { channel, out: sending(channel, 2), idle: 100 });
    scope.cancel();
    expect(await rejection(selected)).toBe(scope.reason);
    expect(vi.getTimerCount()).toBe(0);
    expect(channel.tryReceive()).toBeUndefined();
    expect(await outcomeOf(channel.send(other, 1))).toBe("pending");
    other.cancel();
  });

  it("rejects with the reason in a scope that is cancelled already, and takes no branch", async () => {
    const [scope, other] = [createScope(), createScope()];
    scope.cancel();
    const channel = createChannel<number>(1);
    await channel.send(other, 1);
    expect(await rejection(select(scope, { channel }))).toBe(scope.reason);
    expect(channel.tryReceive()).toEqual({ closed: false, value: 1 });
    await other.close();
  });

  it.each([
    ["no cases", {}, RangeError, "select: cases must not be empty"],
    ["no object", null, TypeError, "select: cases must be an object"],
    ["a case that is none", { a: "b" }, TypeError, "select: a must be a channel"],
    ["a negative timeout", { late: -1 }, RangeError, "select: late must be a number of ms"],
  ])("rejects %s", async (_, cases, type, message) => {
    const scope = createScope();
    const error = await rejection(select(scope, cases as never));
    expect(error).toBeInstanceOf(type);
    expect(String(error)).toContain(message);
    await scope.close();
  });

  it("rejects a value that is not a scope; sending() throws for a value that is not a channel", async () => {
    expect(await rejection(select({} as Scope, { late: 1 }))).toBeInstanceOf(TypeError);
    expect(thrown(() => sending({} as never, 1))).toBeInstanceOf(TypeError);
  });

  it("rule 22: delivers each message exactly once, for every order of cancellations", async () => {
    const actors = fc.array(
      fc.record({
        times: fc.integer({ min: 1, max: 3 }),
        receives: fc.boolean(),
        sends: fc.boolean(),
        dies: fc.boolean(),
      }),
      { minLength: 2, maxLength: 6 },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.integer({ min: 0, max: 2 }),
        actors,
        async (schedule, capacity, list) => {
          const [a, b] = [createChannel<string>(capacity), createChannel<string>(capacity)];
          const sent: string[] = [];
          const received: string[] = [];
          const scopes: Scope[] = [];
          const ended = list.map(async ({ times, receives, sends, dies }, id) => {
            const scope = createScope();
            scopes.push(scope);
            if (dies) sometime(schedule, `cancel ${id}`, () => scope.cancel());
            try {
              for (let n = 0; n < times; n++) {
                await schedule.schedule(Promise.resolve(), `${id}`);
                const selected = await select(scope, {
                  ...(receives || !sends ? { a, b } : {}),
                  ...(sends ? { toA: sending(a, `a${id}.${n}`), toB: sending(b, `b${id}.${n}`) } : {}),
                });
                const { key, value } = selected;
                if (key === "toA") sent.push(`a${id}.${n}`);
                else if (key === "toB") sent.push(`b${id}.${n}`);
                else received.push(value);
              }
            } catch (error) {
              if (!isCancelled(error)) throw error;
            }
          });
          await schedule.waitIdle();
          await flush();
          for (const scope of scopes) scope.cancel();
          await Promise.all(ended);
          for (const channel of [a, b]) {
            for (let at = channel.tryReceive(); at?.closed === false; at = channel.tryReceive())
              received.push(at.value);
          }
          expect(received.toSorted()).toEqual(sent.toSorted());
        },
      ),
      { numRuns: 300 },
    );
  });
});
