import { EventEmitter, getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { deferred, flush, outcomeOf, rejection, thrown } from "../../test/support/deferred.js";
import { untilCancelled } from "../../test/support/until-cancelled.js";
import {
  CancelledError,
  createScope,
  ScopeClosedError,
  spawn,
  withScope,
  type ScopeHandle,
} from "../index.js";
import { snapshot } from "../inspect/index.js";
import { events } from "./index.js";

const error = new Error("boom");

const count = (emitter: EventEmitter): number =>
  emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0);

describe("events() of an EventEmitter", () => {
  it("rule 22: yields the arguments of each event in order, including events from before the first read", async () => {
    await withScope(async (scope) => {
      const emitter = new EventEmitter();
      const values = events<[number, string]>(scope, emitter, "value");
      emitter.emit("value", 1, "a");
      emitter.emit("other");
      emitter.emit("value", 2, "b");
      expect([await values.next(), await values.next()]).toEqual([
        { done: false, value: [1, "a"] },
        { done: false, value: [2, "b"] },
      ]);
      const pending = [values.next(), values.next()];
      emitter.emit("value", 3, "c");
      emitter.emit("value", 4, "d");
      expect((await Promise.all(pending)).map((result) => result.value?.[0])).toEqual([3, 4]);
    });
  });

  it("leaves no listener when the loop is left, and nothing in its scope", async () => {
    await withScope(async (scope) => {
      const emitter = new EventEmitter();
      const values = events(scope, emitter, "value", { until: "end" });
      expect(count(emitter)).toBe(3);
      emitter.emit("value");
      for await (const _ of values) break;
      expect(count(emitter)).toBe(0);
      expect(await values.next()).toEqual({ done: true, value: undefined });
      await flush();
      expect(snapshot(scope).counts.children).toBe(0);
    });
  });

  it("leaves no listener, and nothing in its scope, when one of them can't be added", async () => {
    await withScope(async (scope) => {
      const emitter = new EventEmitter();
      emitter.on("newListener", (name) => {
        if (name === "end") throw error; // as process.on("SIGKILL") does
      });
      expect(thrown(() => events(scope, emitter, "value", { until: "end" }))).toBe(error);
      expect(emitter.listenerCount("value")).toBe(0);
      await flush();
      expect(snapshot(scope).counts.children).toBe(0);
    });
  });

  it.each<[string, (values: AsyncIterator<unknown>, scope: ScopeHandle, emitter: EventEmitter) => unknown]>([
    ["its scope is cancelled", (_, scope) => scope.cancel()],
    ["its loop is left", (values) => values.return?.()],
    ["the emitter emits the event that ends it", (_, _scope, emitter) => emitter.emit("end")],
    ["the emitter emits an error", (_, _scope, emitter) => emitter.emit("error", new Error("emitted"))],
  ])("ends its scope, and answers next(), when a listener can't be removed and %s", async (_, end) => {
    const failures: unknown[] = [];
    const scope = createScope({ onError: (failure) => failures.push(failure) });
    const emitter = new EventEmitter();
    const values = events(scope, emitter, "value", { until: "end" });
    emitter.on("removeListener", (name) => {
      if (name === "value") throw error;
    });
    const pending = outcomeOf(values.next());
    end(values, scope, emitter);
    expect(await pending).not.toBe("pending");
    expect(count(emitter)).toBe(1);
    expect(failures).toEqual([error]);
    await scope.close().catch(() => undefined);
    expect(scope.state).toBe("closed");
  });

  it("rejects with the reason at once when its scope is cancelled, and leaves no listener", async () => {
    const scope = createScope();
    const emitter = new EventEmitter();
    const values = events(scope, emitter, "value");
    const pending = [values.next(), values.next()];
    scope.cancel("why");
    expect(count(emitter)).toBe(0);
    const [first, second] = await Promise.allSettled(pending);
    expect(first).toEqual({ status: "rejected", reason: scope.reason });
    expect(second).toEqual({ status: "fulfilled", value: { done: true, value: undefined } });
    await scope.close();
  });

  it("drops unread events when its scope is cancelled", async () => {
    const scope = createScope();
    const emitter = new EventEmitter();
    const values = events(scope, emitter, "value");
    emitter.emit("value");
    scope.cancel();
    expect(await rejection(values.next())).toBe(scope.reason);
    await scope.close();
  });

  it("rule 22: does not keep its scope from ending, and leaves no listener then", async () => {
    const emitter = new EventEmitter();
    await withScope(async (scope) => {
      events(scope, emitter, "value");
      expect(count(emitter)).toBe(2);
    });
    expect(count(emitter)).toBe(0);
  });

  it("ends at the event of the option until, after the events before it", async () => {
    await withScope(async (scope) => {
      const emitter = new EventEmitter();
      const seen: unknown[] = [];
      const values = events(scope, emitter, "value", { until: "end" });
      emitter.emit("value", 1);
      emitter.emit("end");
      emitter.emit("value", 2);
      expect(count(emitter)).toBe(0);
      for await (const [value] of values) seen.push(value);
      expect(seen).toEqual([1]);
    });
  });

  it("rejects with an emitted error, the same object, once, after the events before it", async () => {
    await withScope(async (scope) => {
      const emitter = new EventEmitter();
      const values = events(scope, emitter, "value");
      emitter.emit("value", 1);
      emitter.emit("error", error);
      expect(count(emitter)).toBe(0);
      expect(await values.next()).toEqual({ done: false, value: [1] });
      expect(await rejection(values.next())).toBe(error);
      expect(await values.next()).toEqual({ done: true, value: undefined });
      const waiting = events(scope, emitter, "value");
      const pending = rejection(waiting.next());
      emitter.emit("error", error);
      expect(await pending).toBe(error);
      await flush();
      expect(snapshot(scope).counts.children).toBe(0);
    });
  });

  it("makes an error that was not received a failure of the scope", async () => {
    const emitter = new EventEmitter();
    const ended = withScope(async (scope) => {
      events(scope, emitter, "value");
      emitter.emit("error", error);
    });
    expect(await rejection(ended)).toBe(error);
  });

  it('yields error events when "error" is the name of the events', async () => {
    await withScope(async (scope) => {
      const emitter = new EventEmitter();
      const values = events(scope, emitter, "error");
      emitter.emit("error", error);
      expect(await values.next()).toEqual({ done: false, value: [error] });
    });
  });

  it("keeps only the newest events when its buffer is full", async () => {
    await withScope(async (scope) => {
      const emitter = new EventEmitter();
      const values = events(scope, emitter, "value", { buffer: 2, until: "end" });
      for (const n of [1, 2, 3, 4]) emitter.emit("value", n);
      emitter.emit("end");
      const seen: unknown[] = [];
      for await (const [value] of values) seen.push(value);
      expect(seen).toEqual([3, 4]);
    });
  });
});

describe("events() of an EventTarget", () => {
  it("yields the events, and leaves no listener", async () => {
    await withScope(async (scope) => {
      const target = new EventTarget();
      const values = events(scope, target, "value", { until: "error" });
      const event = new Event("value");
      target.dispatchEvent(event);
      expect((await values.next()).value).toBe(event);
      const pending = values.next();
      target.dispatchEvent(new Event("error"));
      expect(await pending).toEqual({ done: true, value: undefined });
      expect([...getEventListeners(target, "value"), ...getEventListeners(target, "error")]).toEqual([]);
    });
  });

  it("has no error event", async () => {
    const scope = createScope();
    const target = new EventTarget();
    const pending = events(scope, target, "value").next();
    target.dispatchEvent(new Event("error"));
    expect(await outcomeOf(pending)).toBe("pending");
    scope.cancel();
    expect(getEventListeners(target, "value")).toEqual([]);
    expect(await rejection(pending)).toBe(scope.reason);
    await scope.close();
  });
});

describe("events()", () => {
  it("adds no listener in a scope that is cancelled already, and rejects with the reason", async () => {
    const scope = createScope();
    scope.cancel();
    const emitter = new EventEmitter();
    const values = events(scope, emitter, "value");
    expect(count(emitter)).toBe(0);
    expect(await rejection(values.next())).toBe(scope.reason);
  });

  it("adds no listener in a scope that only waits for its daemons", async () => {
    const scope = createScope();
    const emitter = new EventEmitter();
    const gate = deferred();
    let outcome: unknown;
    spawn(
      scope,
      async (own) => {
        await untilCancelled(own).catch(() => undefined);
        const values = events(scope, emitter, "value");
        expect(count(emitter)).toBe(0);
        outcome = await rejection(values.next());
        await gate.promise;
      },
      { daemon: true },
    );
    const joined = scope.join();
    await flush();
    expect(outcome).toBeInstanceOf(CancelledError);
    expect((outcome as CancelledError).kind).toBe("closed");
    gate.resolve();
    await joined;
  });

  it("throws in a scope that has ended", async () => {
    const scope = createScope();
    await scope.close();
    expect(thrown(() => events(scope, new EventEmitter(), "value"))).toBeInstanceOf(ScopeClosedError);
  });

  it.each([
    ["scope", [{}, new EventEmitter(), "value"], TypeError],
    ["target", [undefined, {}, "value"], TypeError],
    ["target", [undefined, null, "value"], TypeError],
    ["name", [undefined, new EventEmitter(), 1], TypeError],
    ["options", [undefined, new EventEmitter(), "value", null], TypeError],
    ["until", [undefined, new EventEmitter(), "value", { until: 1 }], TypeError],
    ["buffer", [undefined, new EventEmitter(), "value", { buffer: 0 }], RangeError],
    ["buffer", [undefined, new EventEmitter(), "value", { buffer: "1" }], TypeError],
  ])("refuses a bad %s, and adds no listener", async (name, [given, target, ...rest], type) => {
    await withScope(async (scope) => {
      const call = events as (...values: unknown[]) => unknown;
      const caught = thrown(() => call(given ?? scope, target, ...rest));
      expect(caught).toBeInstanceOf(type);
      expect((caught as Error).message).toContain(name);
      expect(target instanceof EventEmitter ? count(target) : 0).toBe(0);
      expect(snapshot(scope).counts.children).toBe(0);
    });
  });
});
