import { describe, expect, it, onTestFinished } from "vitest";
import { createScope, select, sleep, spawn, ticker, withScope } from "../../index.js";
import type { ScopeNode } from "../../kernel/node.js";
import { LongTimer, setTimer, announceTimer } from "../../kernel/long-timer.js";
import { nodeOf } from "../../task/node-of.js";
import { rejection } from "../../../test/support/deferred.js";
import { expectNoLeaks, LeakError, withVirtualClock } from "../index.js";

const HOUR = 3_600_000;
const options = { timeout: 0 } as const;

/** Starts a timer of the runtime's that its scope does not end: the fault that is looked for. */
const faults: readonly [string, (node: ScopeNode) => () => void][] = [
  [
    "a LongTimer",
    (node) => {
      const timer = new LongTimer(HOUR, () => undefined, node);
      return () => timer.clear();
    },
  ],
  [
    "a LongTimer beyond what setTimeout takes",
    (node) => {
      const timer = new LongTimer(1_000 * HOUR, () => undefined, node);
      return () => timer.clear();
    },
  ],
  [
    "a timer of sleep()",
    (node) => {
      const timer = setTimer(() => undefined, HOUR, undefined);
      announceTimer(timer, node);
      return () => clearTimeout(timer);
    },
  ],
];

describe("bough's own timers in a leak check", () => {
  it.each(faults)("%s whose scope has ended is a leak, with the path of the scope", async (_, plant) => {
    let clear: (() => void) | undefined;
    onTestFinished(() => clear?.());
    const error = await rejection(
      expectNoLeaks(async () => {
        await withScope({ name: "poller" }, (scope) => {
          clear = plant(nodeOf("test", "scope", scope));
        });
      }, options),
    );
    expect(error).toBeInstanceOf(LeakError);
    expect((error as LeakError).leaks).toHaveLength(1);
    expect((error as LeakError).leaks[0]).toMatchObject({ kind: "resource", type: "Timeout" });
    expect((error as Error).message).toContain("of the scope poller, which has ended");
    expect((error as LeakError).leaks[0]?.spawnedAt).toContain("own-timers.test.ts");
  });

  it.each(faults)("%s whose scope is open is not a leak: the scope is", async (_, plant) => {
    const scope = createScope({ name: "poller" });
    const clear = plant(nodeOf("test", "scope", scope));
    onTestFinished(async () => {
      clear();
      await scope.close();
    });
    await expectNoLeaks(() => undefined, options);
    const error = await rejection(
      expectNoLeaks(() => {
        const inner = createScope({ name: "inner" });
        const stop = plant(nodeOf("test", "scope", inner));
        onTestFinished(async () => {
          stop();
          await inner.close();
        });
      }, options),
    );
    expect((error as LeakError).leaks.map(({ kind, path }) => [kind, path])).toEqual([["scope", "inner"]]);
  });

  it("no primitive leaves one behind: sleep, ticker, select, deadlines and grace periods", async () => {
    await expectNoLeaks(async () => {
      const scope = createScope({ name: "all", timeout: HOUR, grace: HOUR });
      const waits = [
        sleep(scope, HOUR),
        sleep(scope, 1_000 * HOUR),
        ticker(scope, HOUR).next(),
        select(scope, { late: HOUR } as never),
      ];
      for (const wait of waits) wait.catch(() => undefined);
      spawn(scope, (task) => sleep(task, HOUR), { timeout: HOUR });
      await scope.close({ grace: HOUR });
    }, options);
  });

  it("a timer of a virtual clock that is started again after the clock is a leak of that code", async () => {
    let timer: NodeJS.Timeout | undefined;
    onTestFinished(() => clearTimeout(timer));
    const error = await rejection(
      expectNoLeaks(async () => {
        timer = await withVirtualClock(() => setTimeout(() => undefined, HOUR));
        timer.refresh();
      }, options),
    );
    expect((error as LeakError).leaks).toHaveLength(1);
    expect((error as LeakError).leaks[0]).toMatchObject({ name: "timeout of 3600000 ms" });
    expect((error as LeakError).leaks[0]?.spawnedAt).toContain("own-timers.test.ts");
  });
});
