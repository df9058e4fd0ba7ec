import { describe, expect, it, onTestFinished, vi } from "vitest";
import { flush, rejection } from "../../test/support/deferred.js";
import { timeKeepers } from "../../test/support/time-keepers.js";
import type * as Bough from "../index.js";
import { afterMicrotasks } from "./platform.js";

describe("afterMicrotasks()", () => {
  it("rule 11: runs after the microtasks that are queued by then, and the microtasks that they queue", async () => {
    const log: string[] = [];
    afterMicrotasks(() => log.push("decided"));
    await Promise.resolve();
    log.push("microtask");
    for (let index = 0; index < 10; index++) await Promise.resolve();
    log.push("last microtask");
    await flush();
    expect(log).toEqual(["microtask", "last microtask", "decided"]);
  });

  it("works without process.nextTick", async () => {
    const nextTick: unknown = Reflect.get(process, "nextTick");
    Object.assign(process, { nextTick: undefined });
    vi.resetModules();
    const { afterMicrotasks } = await import("./platform.js").finally(() =>
      Object.assign(process, { nextTick }),
    );
    const log: string[] = [];
    afterMicrotasks(() => log.push("decided"));
    await Promise.resolve().then(() => log.push("microtask"));
    await new Promise((resolve) => setTimeout(resolve, 0));
    await flush();
    expect(log).toEqual(["microtask", "decided"]);
  });
});

describe("a copy of the package that is loaded where the platform is stricter or poorer than Node's", () => {
  async function loadWith(changes: Record<string, unknown>): Promise<typeof Bough> {
    for (const [name, value] of Object.entries(changes)) vi.stubGlobal(name, value);
    onTestFinished(() => void vi.unstubAllGlobals());
    vi.resetModules();
    return import("../index.js");
  }

  it.each(["setTimeout", "clearTimeout", "setInterval", "clearInterval", "queueMicrotask"] as const)(
    "warnings and clocks work where %s throws unless `this` is the global object, as in browsers",
    async (name) => {
      const own = globalThis[name] as (...args: unknown[]) => unknown;
      const refusals: unknown[] = [];
      const strict = function (this: unknown, ...args: unknown[]): unknown {
        if (this !== undefined && this !== globalThis) {
          refusals.push(this);
          throw new TypeError("Illegal invocation");
        }
        return own(...args);
      };
      const { createScope, selfCleaning, sleep } = await loadWith({
        [name]: strict,
        setImmediate: undefined,
      });
      await using scope = createScope({ holdsProcess: false });
      await sleep(scope, 1);
      await using handle = selfCleaning((own) => ({ rest: () => sleep(own, 1) }), { holdsProcess: false });
      await handle.rest();
      expect(refusals).toEqual([]);
    },
  );

  it("Bun's Performance.prototype has no `now`", async () => {
    class Performance {}
    const now = performance.now.bind(performance);
    const own = Object.assign(new Performance(), { now });
    const { createScope, sleep } = await loadWith({ Performance, performance: own });
    await using scope = createScope();
    await expect(sleep(scope, 1)).resolves.toBeUndefined();
  });
});

const fakes = Object.entries(timeKeepers).filter(([, time]) => time.isFake);

describe.each(fakes)("a copy of the package that is loaded under the fake timers of %s", (_, time) => {
  async function load(): Promise<typeof Bough> {
    onTestFinished(time.install());
    vi.resetModules();
    return import("../index.js");
  }

  it("rule 11: settles its scopes", async () => {
    const { spawn, withScope } = await load();
    const failure = new Error("boom");
    const run = withScope({ supervise: true }, async (scope) => {
      expect(await rejection(spawn(scope, () => Promise.reject(failure)))).toBe(failure);
      return "settled";
    });
    expect(await run).toBe("settled");
  });

  it("rule 17: follows them, and the platform's clock once they are removed", async () => {
    const { createScope, sleep, withScope } = await load();
    const asleep = withScope({ timeout: 40 }, (scope) => sleep(scope, 3_600_000));
    const reason = rejection(asleep);
    await time.advance(40);
    expect(await reason).toMatchObject({ kind: "deadline" });
    const scope = createScope();
    let ended = false;
    void sleep(scope, 3_600_000).catch(() => (ended = true));
    await flush();
    expect(ended).toBe(false);
    await scope.close();
    expect(ended).toBe(true);
  });

  it("yields to the event loop, although setImmediate is fake", async () => {
    const { checkpoint, createScope } = await load();
    const scope = createScope();
    let stop = false;
    void flush().then(() => (stop = true));
    while (!stop) await checkpoint(scope);
    await scope.close();
  });
});
