import { setImmediate } from "node:timers/promises";
import { createScope, spawn } from "./bough.js";
import { interleave, liveBytes, medianOf, type Case, type Group } from "./harness.js";
import { rounds } from "./options.js";
import { trivial } from "./peers.js";

const COUNT = 1_000_000;
/** How many are alive at a time. */
const BATCH = 10_000;

/** Runs `finish` for so many children in batches; bytes that each has left behind while their owner lives. */
function leaves(label: string, count: number, owner: () => (() => unknown) & Partial<Owner>): Case {
  const run = async (): Promise<readonly number[]> => {
    const start = owner();
    const before = liveBytes();
    for (let done = 0; done < count; done += BATCH) {
      for (let index = 0; index < BATCH; index++) start();
      await setImmediate();
    }
    const bytes = (liveBytes() - before) / count;
    await start.close?.();
    return [Math.max(0, bytes)];
  };
  return { label, run };
}

interface Owner {
  close: () => Promise<void>;
}

const bough = "bough: 1,000,000 children of a living scope";

function inScope(): (() => unknown) & Owner {
  const handle = createScope();
  return Object.assign(() => void spawn(handle, trivial), { close: () => handle.close() });
}

/** The work of each child by hand: it follows the signal of its owner. */
function followers(): () => unknown {
  const owner = new AbortController();
  return () => {
    AbortSignal.any([owner.signal, new AbortController().signal]).addEventListener("abort", ignore);
    return trivial();
  };
}

function ignore(): void {}

/** The memory that finished children leave behind in a live parent. */
export const retained: Group = {
  name: "retained",
  async run(progress) {
    const byHand = {
      ...leaves("AbortSignal.any per child: 100,000", 100_000, followers),
      rounds: rounds(2, 1),
    };
    const cases = [leaves(bough, COUNT, inScope), byHand];
    const rows = await interleave(cases, rounds(3, 1), rounds(1, 0), progress);
    return [
      {
        title: "Finished children in a scope that lives on, for each",
        metrics: [{ name: "retained", unit: "bytes" }],
        base: byHand.label,
        rows,
        targets: [
          {
            what: "a million finished children in a living scope, each",
            better: "lower",
            unit: "bytes",
            limit: 1,
            measured: medianOf(rows, bough),
          },
        ],
        notes: [],
      },
    ];
  },
};
