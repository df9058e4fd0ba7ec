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

class Doer {
  jobs = 0;

  /** A worker as one writes it. */
  async sleep(scope: Scope): Promise<never> {
    try {
      for (;;) {
        await sleep(scope, HOUR);
        this.jobs += 1;
      }
    } finally {
      stopped += 1;
    }
  }

  /** A worker that does with a cancel hook what Go's does with a channel. */
  untilCancelled(scope: Scope): Promise<void> {
    return new Promise((resolve) => {
      const timer = setInterval(() => (this.jobs += 1), HOUR);
      scope.onCancel(() => {
        clearInterval(timer);
        stopped += 1;
        resolve();
      });
    });
  }

  /** No task at all, only the timer. */
  start(scope: Scope): void {
    const timer = setInterval(() => (this.jobs += 1), HOUR);
    scope.onCancel(() => {
      clearInterval(timer);
      stopped += 1;
    });
  }
}

const HOUR = 3_600_000;

type Make = () => unknown;

function bough(start: (doer: Doer, scope: Scope) => void): Make {
  const build = (scope: Scope): Doer => {
    const doer = new Doer();
    start(doer, scope);
    return doer;
  };
  return () => selfCleaning(build, { onOrphan: "ignore" });
}

/** The minimum for `sleep`: one rejected promise for each. */
const registry = new FinalizationRegistry<() => void>((stop) => stop());
const reason = new Error("dropped");

function byHand(): void {
  const doer = new Doer();
  let stop!: () => void;
  const untilStopped = async (): Promise<void> => {
    try {
      await new Promise<void>((_, reject) => {
        const timer = setInterval(() => (doer.jobs += 1), HOUR);
        stop = () => {
          clearInterval(timer);
          reject(reason);
        };
      });
    } finally {
      stopped += 1;
    }
  };
  untilStopped().catch(() => undefined);
  registry.register({ doer }, stop, stop);
}

const label = {
  hook: "bough: selfCleaning, spawn, onCancel",
  timer: "bough: selfCleaning, onCancel, no task",
  sleep: "bough: selfCleaning, spawn, sleep",
  byHand: "FinalizationRegistry, async function, by hand",
  go: "Go: SetFinalizer, goroutine, timer",
} as const;

async function dropped(make: Make): Promise<readonly number[]> {
  const before = liveBytes();
  stopped = 0;
  const created = process.hrtime.bigint();
  for (let index = 0; index < COUNT; index++) make();
  const createNs = nsSince(created) / COUNT;
  const since = process.hrtime.bigint();
  while (stopped < COUNT) {
    globalThis.gc?.();
    await idle();
  }
  const stopNs = nsSince(since) / COUNT;
  collect();
  await setImmediate();
  return [createNs, stopNs, Math.max(0, (liveBytes() - before) / COUNT)];
}

/** Finalizers run in tasks of their own; only when nothing stops any more is it worth another collection. */
async function idle(): Promise<void> {
  let before = -1;
  for (let since = process.hrtime.bigint(); stopped < COUNT && nsSince(since) < 50e6;) {
    if (stopped !== before) since = process.hrtime.bigint();
    before = stopped;
    await setImmediate();
  }
}

const hook = bough((doer, scope) => void spawn(scope, (task) => doer.untilCancelled(task)));
const timer = bough((doer, scope) => doer.start(scope));
const sleeping = bough((doer, scope) => void spawn(scope, (task) => doer.sleep(task)));

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
    const cases: Case[] = [
      { label: label.hook, run: () => dropped(hook) },
      { label: label.timer, run: () => dropped(timer) },
      { label: label.sleep, run: () => dropped(sleeping) },
      { label: label.byHand, run: () => dropped(byHand) },
    ];
    if (go !== undefined) cases.push(goCase(go));
    const rows = await interleave(cases, rounds(9, 3), rounds(2, 1), progress);
    go?.stop();
    const target = (): Target => ({
      what: "65,536 dropped self-cleaning workers with cancel hooks, gc to all stopped, against Go",
      better: "lower",
      unit: "x",
      limit: 1,
      measured: ratio(rows, label.hook, label.go, 1),
    });
    return [
      {
        title: `${COUNT.toLocaleString("en")} dropped self-cleaning workers with a live timer, for each`,
        metrics: [
          { name: "create", unit: "ns" },
          { name: "gc to all stopped", unit: "ns" },
          { name: "left behind", unit: "bytes" },
        ],
        base: hasRow(rows, label.go) ? label.go : label.byHand,
        rows,
        targets: hasRow(rows, label.go) ? [target()] : [],
        notes: go === undefined ? [withoutGo] : [`Go is ${go.version}.`],
      },
    ];
  },
};
