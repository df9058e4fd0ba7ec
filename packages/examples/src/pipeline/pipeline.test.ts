import { createScope, sleep, withScope, type Scope } from "bough";
import { snapshot } from "bough/inspect";
import { withVirtualClock } from "bough/testing";
import { describe, expect, it } from "vitest";
import { runExample } from "../../test/support/run-example.js";
import { runPipeline, type PipelineOptions } from "./pipeline.js";

const numbers = function* (log: string[] = []): Generator<number> {
  try {
    for (let item = 1; ; item++) yield item;
  } finally {
    log.push("closed");
  }
};

const slow = async (scope: Scope, item: number): Promise<number> => {
  await sleep(scope, 100);
  return item;
};

const options: Omit<PipelineOptions<number, number>, "items"> = {
  consumers: 3,
  capacity: 4,
  work: slow,
  onResult: () => undefined,
};

describe("runPipeline()", () => {
  it("does every item once, as many at once as there are consumers", async () => {
    const results: number[] = [];
    const ended = await withVirtualClock(
      async (scope, clock) => {
        const items = Array.from({ length: 12 }, (_, index) => index);
        await runPipeline(scope, { ...options, items, onResult: (result) => results.push(result) });
        return clock.now;
      },
      { start: 0 },
    );
    expect(results.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, index) => index));
    expect(ended).toBe(400);
  });

  it("stops a producer that is too fast", async () => {
    let produced = 0;
    await withVirtualClock(async (scope) => {
      const own = createScope(scope);
      const running = runPipeline(own, { ...options, items: numbers(), onProduced: () => (produced += 1) });
      running.catch(() => undefined);
      await sleep(scope, 50);
      expect(produced).toBe(3 + 4); // in the hands of the consumers, and in the channel
      await sleep(scope, 100);
      expect(produced).toBe(3 + 3 + 4);
      await own.close();
    });
  });

  it("waits for a collector that is too slow", async () => {
    const log: string[] = [];
    let produced = 0;
    await withVirtualClock(async (scope) => {
      const own = createScope(scope);
      const work = async (inner: Scope, item: number): Promise<number> => {
        if (item > 3) await sleep(inner, Infinity);
        return item;
      };
      const running = runPipeline(own, {
        ...options,
        work,
        items: numbers(log),
        onProduced: () => (produced += 1),
      });
      running.catch(() => undefined);
      await sleep(scope, 1_000);
      expect(produced).toBe(3 + 3 + 4);
      await own.close();
    });
    expect(log).toEqual(["closed"]);
  });

  it("ends everything with the first failure, and closes the producer's source", async () => {
    const error = new Error("broken");
    const log: string[] = [];
    const outcome = await withScope(async (scope) => {
      const work = async (_: Scope, item: number): Promise<number> => {
        if (item === 5) throw error;
        return item;
      };
      const caught = await runPipeline(scope, { ...options, work, items: numbers(log) }).catch(
        (thrown: unknown) => thrown,
      );
      expect(snapshot(scope).counts.children).toBe(0);
      return caught;
    });
    expect(outcome).toBe(error);
    expect(log).toEqual(["closed"]);
  });

  it("rejects with the reason when it is cancelled, and when it was before", async () => {
    const scope = createScope();
    const running = runPipeline(scope, { ...options, items: numbers() }).catch((error: unknown) => error);
    scope.cancel();
    expect(await running).toBe(scope.reason);
    const late = runPipeline(scope, { ...options, items: numbers() }).catch((error: unknown) => error);
    expect(await late).toBe(scope.reason);
    await scope.close();
  });
});

describe("main.ts", () => {
  it("shows a producer that keeps pace, and a producer that is stopped", { timeout: 30_000 }, async () => {
    const { code, output } = await runExample("pipeline");
    expect(output).toContain("24 made, 24 done");
    expect(output).toContain(
      "the endless producer was closed\nstopped an endless producer: item 10 is broken",
    );
    const ahead = [...output.matchAll(/^#*(\+*)/gm)].map(([, waiting = ""]) => waiting.length);
    expect(Math.max(...ahead)).toBeGreaterThan(4);
    expect(Math.max(...ahead)).toBeLessThanOrEqual(4 + 3 + 4);
    expect(code).toBe(0);
  });
});
