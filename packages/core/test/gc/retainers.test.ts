import { expect, it } from "vitest";
import { BoughHeapProbe, findRetainers } from "../../src/testing/heap/retainers.js";
import { pinnedCases } from "./pinned.js";
import { Probe } from "./probe.js";

// That a handle is not collected says that something keeps it; this says that it is what the row names. It is also
// what `expectCollected` tells a user who made that mistake.

/** Of so many handles of each row: as many as a row names ways. */
const COPIES = 4;

class Watch extends Probe {
  seen: BoughHeapProbe | undefined;
  override watch(handle: object): void {
    super.watch(handle);
    this.seen = new BoughHeapProbe(handle);
  }
}

it("the rows of docs/orphans.md that are not collected are kept by the reference that they name", async () => {
  const kept: unknown[] = [];
  const watches: Watch[] = [];
  for (const { row, run } of pinnedCases) {
    for (let copy = 0; copy < COPIES; copy++) {
      const watch = new Watch(row);
      watches.push(watch);
      kept.push(await run(watch, copy));
    }
  }
  const found = await findRetainers(watches.map(({ seen }) => seen as BoughHeapProbe));
  const wrong = pinnedCases.flatMap(({ row, keptBy }, index) =>
    found
      .slice(index * COPIES, (index + 1) * COPIES)
      .map((each) => (typeof each === "string" ? each : each.path.join("\n")))
      .filter((path) => !keptBy.test(path))
      .map((path) => `${row}:\n${path}`),
  );
  expect(wrong).toEqual([]);
  expect(kept).toHaveLength(watches.length);
}, 60_000);
