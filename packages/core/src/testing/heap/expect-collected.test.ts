import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { sleep } from "../../flow/time/sleep.js";
import { createScope } from "../../task/create-scope.js";
import type { ScopeHandle } from "../../task/handle.js";
import { spawn } from "../../task/spawn.js";
import { expectCollected, RetainedError } from "./expect-collected.js";
import { BoughHeapProbe, findRetainers } from "./retainers.js";
import type { Retainers } from "./retaining-path.js";

class Retained {
  readonly name = "retained";
}

/** Has a worker of `scope` mention `handle`. */
function hold(scope: ScopeHandle, handle: ScopeHandle, ms: number): void {
  spawn(scope, async (task) => {
    await sleep(task, ms);
    handle.cancel();
  });
}

const EVENTS = ["exit", "SIGINT", "SIGUSR1", "SIGUSR2"];
const keeper = new Map<string, () => object>();

describe("expectCollected()", () => {
  it("resolves when the object is collected", async () => {
    await expectCollected(() => new Retained());
  });

  it("rule 19: resolves for the handle of a scope with a running task", async () => {
    await expectCollected(() => {
      const scope = createScope({ onOrphan: "ignore" });
      spawn(scope, (task) => sleep(task, 60_000));
      return scope;
    });
  });

  it.each([
    ["", Infinity],
    [", with timers", 60_000],
  ])(
    "rule 19: names the pair of two handles that hold each other%s",
    async (_, ms) => {
      const error: unknown = await expectCollected(() => {
        const one = createScope({ name: "one", onOrphan: "ignore" });
        const other = createScope({ name: "other", onOrphan: "ignore" });
        hold(one, other, ms);
        hold(other, one, ms);
        return one;
      }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(RetainedError);
      expect((error as Error).message).toContain('It and the handle of scope "other" hold each other');
    },
    60_000,
  );

  it("rule 19: names no pair where only one holds the other", async () => {
    const other = createScope({ name: "other", onOrphan: "ignore" });
    const error: unknown = await expectCollected(() => {
      const one = createScope({ name: "one", onOrphan: "ignore" });
      hold(other, one, 60_000);
      return one;
    }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RetainedError);
    expect((error as Error).message).not.toContain("hold each other");
    await other.close();
  }, 60_000);

  it("waits for the object of an async make", async () => {
    await expectCollected(async () => new Retained());
  });

  it("rejects with the path that keeps the object alive, and the line of the function on it", async () => {
    const listeners = EVENTS.map((event) => process.listenerCount(event));
    const error: unknown = await expectCollected(() => {
      const kept = new Retained();
      keeper.set("key", () => kept);
      return kept;
    }).catch((thrown: unknown) => thrown);
    keeper.clear();
    expect(error).toBeInstanceOf(RetainedError);
    const { retainers, message, code, stack = "" } = error as RetainedError;
    expect(code).toBe("BOUGH_RETAINED");
    expect(retainers.at(-1)).toBe("variable kept → Retained");
    expect(retainers.join("\n")).toContain("Map");
    expect(message).toContain(retainers.at(-1));
    const [, site, file = "", line] = /\n {4}at ((.*):(\d+):\d+)\n/.exec(stack) ?? [];
    expect(readFileSync(file, "utf8").split("\n")[Number(line) - 1]).toContain("() => kept");
    expect(retainers.at(-3)).toBe(`(6) → function (anonymous) (${site})`);
    // The package that reads the snapshot would end the process at its signals.
    expect(EVENTS.map((event) => process.listenerCount(event))).toEqual(listeners);
  }, 60_000);

  it("rejects when make is not a function, or returns no object", async () => {
    await expect(expectCollected(5 as never)).rejects.toBeInstanceOf(TypeError);
    await expect(expectCollected((() => 5) as never)).rejects.toBeInstanceOf(TypeError);
    await expect(expectCollected((() => null) as never)).rejects.toBeInstanceOf(TypeError);
  });
});

/** In a function of its own, which keeps nothing. */
function pairUp(pairs: WeakMap<object, object>, keys: object[]): BoughHeapProbe[] {
  return ["held", "lost"].map((name) => {
    const [key, value] = [{ name }, new Retained()];
    pairs.set(key, value);
    if (name === "held") keys.push(key);
    return new BoughHeapProbe(value);
  });
}

describe("findRetainers()", () => {
  it("finds the key that keeps the value of a WeakMap", async () => {
    const [pairs, keys] = [new WeakMap<object, object>(), new Array<object>()];
    const [held, lost] = await findRetainers(pairUp(pairs, keys));
    expect(lost).toBe("collected");
    expect((held as Retainers).path.slice(-2)).toEqual([
      "[0] → Object",
      "(its value in a WeakMap) → Retained",
    ]);
    expect([pairs.has(keys[0] ?? {}), keys.length]).toEqual([true, 1]);
  }, 60_000);

  it("says which package to install when it is missing", async () => {
    const [answer] = await findRetainers([new BoughHeapProbe({})], () => Promise.resolve(undefined));
    expect(answer).toContain("npm install --save-dev @memlab/heap-analysis");
  });
});
