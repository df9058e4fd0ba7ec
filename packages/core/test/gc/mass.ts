/* oxlint-disable eslint/no-console -- its output is what the test reads */
import { createScope, selfCleaning, sleep, spawn, type Scope } from "../../src/index.js";
import { collect, macrotask } from "./probe.js";

/** As many as in the document this project began with. */
const COUNT = 65_536;

/** How they ended, and the memory in bytes. */
export interface MassReport {
  readonly count: number;
  readonly started: number;
  readonly stopped: number;
  readonly grown: number;
  readonly kept: number;
}

let started = 0;
let stopped = 0;

class Doer {
  jobs = 0;
  async run(scope: Scope): Promise<void> {
    started += 1;
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

function drop(count: number): void {
  for (let index = 0; index < count; index++) {
    selfCleaning(
      (scope) => {
        const doer = new Doer();
        spawn(scope, (task) => doer.run(task));
        return doer;
      },
      { onOrphan: "ignore" },
    );
  }
}

/** Collects, and waits as long as there are workers that stop upon it. */
async function collectAll(): Promise<void> {
  for (let round = 0; round < 40 && stopped < COUNT; round++) {
    await collect();
    for (let before = -1; before !== stopped;) {
      before = stopped;
      await macrotask();
    }
  }
}

async function heapUsed(): Promise<number> {
  for (let round = 0; round < 4; round++) await collect();
  return process.memoryUsage().heapUsed;
}

// Once beforehand: code, shapes and the room of hash tables are no leak.
drop(COUNT);
await collectAll();
started = stopped = 0;
const before = await heapUsed();
drop(COUNT);
const held = createScope({ onOrphan: "ignore" });
const peak = process.memoryUsage().heapUsed;
await collectAll();
const after = await heapUsed();
const report: MassReport = { count: COUNT, started, stopped, grown: peak - before, kept: after - before };
console.log(JSON.stringify(report));
await held.close();
process.exit(0);
