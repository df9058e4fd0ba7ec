import { describe, expect, it, vi } from "vitest";
import { flush } from "../../test/support/deferred.js";
import { afterMicrotasks } from "./platform.js";

describe("afterMicrotasks()", () => {
  it("rule 11: runs after the microtasks that are queued by then, and those that they queue", async () => {
    const log: string[] = [];
    afterMicrotasks(() => log.push("decided"));
    await Promise.resolve();
    log.push("microtask");
    for (let index = 0; index < 10; index++) await Promise.resolve();
    log.push("last microtask");
    await flush();
    expect(log).toEqual(["microtask", "last microtask", "decided"]);
  });

  it("works where there is no process.nextTick", async () => {
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
