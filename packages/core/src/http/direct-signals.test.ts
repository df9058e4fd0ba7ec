import { getEventListeners } from "node:events";
import { inspect } from "node:util";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { createScope } from "../index.js";
import type * as signalController from "../kernel/signal-controller.js";
import type * as directSignals from "./direct-signals.js";
import { useDirectSignals } from "./direct-signals.js";

const isNode20 = process.versions.node.startsWith("20.");

type Copies = Pick<typeof directSignals, "useDirectSignals"> & Pick<typeof signalController, "signals">;

/** New copies of the modules, which have not decided yet how signals are made. */
async function fresh(): Promise<Copies> {
  vi.resetModules();
  const { useDirectSignals } = await import("./direct-signals.js");
  const { signals } = await import("../kernel/signal-controller.js");
  return { useDirectSignals, signals };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe("the signal of a scope, once there is a server", () => {
  beforeAll(() => useDirectSignals());

  it("is an AbortSignal of the platform", () => {
    const { signal } = createScope({ onOrphan: "ignore" });
    const expected = new AbortController().signal;
    expect(signal).toBeInstanceOf(AbortSignal);
    expect(signal.constructor).toBe(AbortSignal);
    expect(Reflect.ownKeys(signal)).toEqual(Reflect.ownKeys(expected));
    expect(inspect(signal)).toBe(inspect(expected));
  });

  it("dispatches one trusted abort event to its listeners", () => {
    const scope = createScope({ onOrphan: "ignore" });
    const { signal } = scope;
    const events: Event[] = [];
    signal.addEventListener("abort", (event) => events.push(event));
    signal.onabort = (event) => events.push(event);
    const removed = vi.fn<() => void>();
    signal.addEventListener("abort", removed);
    signal.removeEventListener("abort", removed);
    expect(getEventListeners(signal, "abort")).toHaveLength(2);
    scope.cancel();
    scope.cancel();
    expect(events).toHaveLength(2);
    for (const event of events)
      expect(event).toMatchObject({ type: "abort", isTrusted: true, target: signal });
    expect(removed).not.toHaveBeenCalled();
    expect(() => signal.throwIfAborted()).toThrow(scope.reason);
  });

  it("aborts what AbortSignal.any() has made of it, with the same reason", () => {
    const scope = createScope({ onOrphan: "ignore" });
    const both = AbortSignal.any([new AbortController().signal, scope.signal]);
    const twice = AbortSignal.any([both]);
    scope.cancel();
    expect([both.reason, twice.reason]).toEqual([scope.reason, scope.reason]);
    expect(AbortSignal.any([scope.signal]).reason).toBe(scope.reason);
  });

  it("is taken by fetch(), which rejects with the reason", async () => {
    const scope = createScope({ onOrphan: "ignore" });
    const response = fetch("http://127.0.0.1:9/", { signal: scope.signal });
    scope.cancel();
    await expect(response).rejects.toBe(scope.reason);
    await expect(fetch("http://127.0.0.1:9/", { signal: scope.signal })).rejects.toBe(scope.reason);
  });

  it("is aborted if the scope was cancelled before it was read", () => {
    const scope = createScope({ onOrphan: "ignore" });
    scope.cancel();
    expect(scope.signal.reason).toBe(scope.reason);
  });
});

describe("useDirectSignals()", () => {
  it("has signals made without a change of their prototype on Node 20, and by an AbortController elsewhere", async () => {
    const { useDirectSignals, signals } = await fresh();
    expect(signals.make()).toBeInstanceOf(AbortController);
    const constructed = vi.spyOn(Reflect, "construct");
    useDirectSignals();
    useDirectSignals();
    expect(signals.make()).toBeInstanceOf(isNode20 ? Object : AbortController);
    expect(constructed).toHaveBeenCalledTimes(isNode20 ? 2 : 0); // the first one is tried
  });

  it("keeps the AbortController if the signals of the platform are others than those of Node 20", async () => {
    vi.spyOn(Reflect, "construct").mockImplementation(() => new EventTarget());
    const { useDirectSignals, signals } = await fresh();
    useDirectSignals();
    expect(signals.make()).toBeInstanceOf(AbortController);
  });

  it("keeps the AbortController if a signal that was made directly does not abort", async () => {
    const prototype = AbortSignal.prototype as unknown as Record<symbol, () => void>;
    const key = Object.getOwnPropertySymbols(prototype).find((symbol) =>
      String(symbol).includes("_deserialize"),
    );
    const original = key && prototype[key];
    if (key !== undefined) prototype[key] = () => undefined;
    try {
      const { useDirectSignals, signals } = await fresh();
      useDirectSignals();
      expect(signals.make()).toBeInstanceOf(AbortController);
    } finally {
      if (key !== undefined && original !== undefined) prototype[key] = original;
    }
  });

  it("keeps the AbortController of an emulated browser that was there first", async () => {
    class Target {
      addEventListener(): void {}
    }
    class Signal extends Target {}
    class Controller {
      readonly signal = new Signal();
      abort(): void {}
    }
    vi.stubGlobal("EventTarget", Target);
    vi.stubGlobal("AbortSignal", Signal);
    vi.stubGlobal("AbortController", Controller);
    try {
      const { useDirectSignals, signals } = await fresh();
      useDirectSignals();
      expect(signals.make()).toBeInstanceOf(Controller);
    } finally {
      vi.unstubAllGlobals();
    }
  });

  it("uses the AbortController that has replaced the platform's", async () => {
    const { useDirectSignals, signals } = await fresh();
    useDirectSignals();
    class Replaced extends AbortController {}
    vi.stubGlobal("AbortController", Replaced);
    try {
      expect(signals.make()).toBeInstanceOf(Replaced);
    } finally {
      vi.unstubAllGlobals();
    }
  });
});
