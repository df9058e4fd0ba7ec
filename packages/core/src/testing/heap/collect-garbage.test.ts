import { describe, expect, it } from "vitest";
import { createScope } from "../../task/create-scope.js";
import { spawn } from "../../task/spawn.js";
import { collectGarbage } from "../index.js";

describe("collectGarbage()", () => {
  it("collects only unreachable objects", async () => {
    const kept = { kept: true };
    const [dropped, held] = (() => [new WeakRef({}), new WeakRef(kept)])();
    await collectGarbage();
    expect(dropped?.deref()).toBeUndefined();
    expect(held?.deref()).toBe(kept);
  });

  it("rule 19: lets the finalizers run, so that the workers of a dropped handle have stopped", async () => {
    const log: string[] = [];
    (() => {
      const scope = createScope({ name: "dropped", onOrphan: ({ path }) => log.push(`orphan ${path}`) });
      spawn(scope, async (task) => {
        await new Promise<void>((resolve) => void task.onCancel(() => resolve()));
        log.push("stopped");
      });
    })();
    await collectGarbage();
    expect(log.toSorted()).toEqual(["orphan dropped", "stopped"]);
  });
});
