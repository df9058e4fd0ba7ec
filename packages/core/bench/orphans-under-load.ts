import { setImmediate } from "node:timers/promises";
import { selfCleaning, sleep, spawn } from "./bough.js";
import { collect, interleave, nsSince, type Case, type Group } from "./harness.js";
import { rounds } from "./options.js";

// Measures how many dropped handles are alive at once in a process that is busy with other work, and the time from the drop
// of a handle to the stop of its worker. No collection is forced: V8 decides when it collects.

const REQUESTS = 100_000;
const IN_A_TURN = 20;
/** The garbage of a request, in bytes. */
const GARBAGE = 10_000;
const HOUR = 3_600_000;

let stopped = 0;
let waited = 0n;

/** Called when the worker of a handle has stopped that was dropped at `since`. */
function onStop(since: bigint): void {
  stopped += 1;
  waited += process.hrtime.bigint() - since;
}

/** Some 5 kB, so that V8 has a reason to collect. */
class Cache {
  readonly entries = new Map<string, unknown>([["rows", Array.from({ length: 500 }, (_, index) => index)]]);
}

function withBough(): void {
  const since = process.hrtime.bigint();
  selfCleaning(
    (scope) => {
      const cache = new Cache();
      spawn(scope, async (task) => {
        try {
          for (;;) {
            await sleep(task, HOUR);
            cache.entries.clear();
          }
        } finally {
          onStop(since);
        }
      });
      return cache;
    },
    { onOrphan: "ignore" },
  );
}

const registry = new FinalizationRegistry<() => void>((stop) => stop());

function byHand(): void {
  const since = process.hrtime.bigint();
  const cache = new Cache();
  const timer = setInterval(() => cache.entries.clear(), HOUR);
  registry.register({ cache }, () => {
    clearInterval(timer);
    onStop(since);
  });
}

/** Serves the requests; resolves with the most that were alive at once, and the mean time from drop to stop in ns. */
async function serve(drop: () => void): Promise<readonly number[]> {
  stopped = 0;
  waited = 0n;
  let most = 0;
  const begun = process.hrtime.bigint();
  for (let served = 0; served < REQUESTS; served += IN_A_TURN) {
    for (let index = 0; index < IN_A_TURN; index++) {
      drop();
      JSON.parse(`"${"x".repeat(GARBAGE)}"`);
    }
    most = Math.max(most, served + IN_A_TURN - stopped);
    await setImmediate();
  }
  const each = nsSince(begun) / REQUESTS;
  const mean = stopped === 0 ? NaN : Number(waited) / stopped;
  while (stopped < REQUESTS) {
    collect();
    await setImmediate();
  }
  return [most, mean, each];
}

const label = {
  bough: "bough: selfCleaning, spawn, sleep",
  byHand: "FinalizationRegistry and an interval, by hand",
} as const;

/** Handles that are dropped while the process is busy: one for each request. */
export const orphansUnderLoad: Group = {
  name: "orphans under load",
  async run(progress) {
    const cases: readonly Case[] = [
      { label: label.bough, run: () => serve(withBough) },
      { label: label.byHand, run: () => serve(byHand) },
    ];
    return [
      {
        title: `${REQUESTS.toLocaleString("en")} requests, each of which drops a handle with a live worker; no forced collection`,
        metrics: [
          { name: "alive at once", unit: "count" },
          { name: "drop to stop, mean", unit: "ns" },
          { name: "each request", unit: "ns" },
        ],
        base: label.byHand,
        rows: await interleave(cases, rounds(7, 1), rounds(1, 0), progress),
        targets: [],
        notes: ["V8 paces its collections by what they free: docs/orphans.md says what helps."],
      },
    ];
  },
};
