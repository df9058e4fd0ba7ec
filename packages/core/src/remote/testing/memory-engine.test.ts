import { describe, expect, it } from "vitest";
import { withVirtualClock } from "../../testing/index.js";
import { engineSuite, memoryEngine } from "./index.js";

describe("the memory engine", () => {
  // Each case has its own engine, and takes no time: its leases run on the virtual clock.
  const names = engineSuite({ engine: () => memoryEngine() }).map(({ name }) => name);
  it.each(names)("%s", async (name) => {
    const engine = memoryEngine();
    const cases = engineSuite({
      engine: (process) => engine.as(process),
      lostWithin: 100,
      cut: (process) => engine.cut("hang", process),
      stop: () => engine.cut("queue"),
      loseAnswers: (process) => engine.cut("no answer", process),
      pause: () => engine.cut("queue"),
      refuseWrites: () => {
        engine.readOnly(true);
        return () => engine.readOnly(false);
      },
      dropHints: (process) => {
        engine.hints("drop", process);
        return () => engine.hints("deliver", process);
      },
      wipe: () => engine.lose(),
    });
    const found = cases.find((each) => each.name === name);
    await withVirtualClock(() => found?.run(), { blockedAfter: 5_000 });
    expect(found?.skipped).toBeUndefined();
    expect(engine.leases).toBe(0);
  });
});
