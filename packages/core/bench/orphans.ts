import { setImmediate } from "node:timers/promises";
import { selfCleaning, sleep, spawn, type Scope } from "./bough.js";
import { withoutGo, startGo, type Go } from "./go.js";
import {
  collect,
  hasRow,
  interleave,
  liveBytes,
  nsSince,
  ratio,
  type Case,
  type Group,
  type Target,
} from "./harness.js";
import { rounds } from "./options.js";

/** As many as in the document this project began with. */
const COUNT = 65_536;

let stopped = 0;

/** A worker with a live timer, which does its clean-up when it is stopped. */
class Doer {
  jobs = 0;
  async run(scope: Scope): Promise<never> {
    try {
      for (;;) {
        await sleep(scope, 3_600_000);
        this.jobs += 1;
      }
    } finally {
      stopped += 1;
    }
  }
}

function build(scope: Scope): Doer {
  const doer = new Doer();
  spawn(scope, (task) => doer.run(task));
  return doer;
}

function make(): void {
  for (let index = 0; index < COUNT; index++) selfCleaning(build, { onOrphan: "ignore" });
}

const label = { bough: "bough: selfCleaning, sleep", go: "Go: SetFinalizer, goroutine, timer" } as const;

async function dropped(): Promise<readonly number[]> {
  const before = liveBytes();
  stopped = 0;
  const created = process.hrtime.bigint();
  make();
  const createNs = nsSince(created) / COUNT;
  const since = process.hrtime.bigint();
  while (stopped < COUNT) {
    globalThis.gc?.();
    const collected = process.hrtime.bigint();
    // A finalizer runs in a task of its own; only if that was not all is it worth another collection.
    while (stopped < COUNT && nsSince(collected) < 50e6) await setImmediate();
  }
  const stopNs = nsSince(since) / COUNT;
  collect();
  await setImmediate();
  return [createNs, stopNs, Math.max(0, (liveBytes() - before) / COUNT)];
}

function goCase(go: Go): Case {
  return {
    label: label.go,
    async run() {
      const [create = NaN, bytes = NaN, stop = NaN] = await go.run("orphans", COUNT);
      return [create, stop, bytes];
    },
  };
}

/** From a collection to the end of all workers whose owners were dropped. */
export const orphans: Group = {
  name: "orphans",
  async run(progress) {
    const go = startGo();
    const cases: Case[] = [{ label: label.bough, run: dropped }];
    if (go !== undefined) cases.push(goCase(go));
    const rows = await interleave(cases, rounds(9, 3), rounds(2, 1), progress);
    go?.stop();
    const target = (): Target => ({
      what: "65,536 dropped self-cleaning workers, gc to all stopped, against Go",
      better: "lower",
      unit: "x",
      limit: 1,
      measured: ratio(rows, label.bough, label.go, 1),
    });
    return [
      {
        title: `${COUNT.toLocaleString("en")} dropped self-cleaning workers with a live timer, for each`,
        metrics: [
          { name: "create", unit: "ns" },
          { name: "gc to all stopped", unit: "ns" },
          { name: "left behind", unit: "bytes" },
        ],
        base: hasRow(rows, label.go) ? label.go : label.bough,
        rows,
        targets: hasRow(rows, label.go) ? [target()] : [],
        notes: go === undefined ? [withoutGo] : [`Go is ${go.version}.`],
      },
    ];
  },
};
