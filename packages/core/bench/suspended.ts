import { Effect, Fiber } from "effect";
import { run, spawn as spawnOperation, suspend } from "effection";
import { createScope, sleep, spawn } from "./bough.js";
import { startGo, withoutGo } from "./go.js";
import { interleave, liveBytes, medianOf, nsSince, ratio, type Case, type Group } from "./harness.js";
import { rounds } from "./options.js";
import type { Worker } from "../src/index.js";

export const COUNT = 100_000;
/** Longer than any run, and shorter than what `setTimeout` takes. */
const LONG = 1e9;

/** Creates the work, weighs it, and cancels and joins it: the three numbers of these tables. */
export async function live<T>(
  count: number,
  create: () => T | Promise<T>,
  cancel: (made: T) => Promise<unknown>,
): Promise<readonly number[]> {
  const before = liveBytes();
  const created = process.hrtime.bigint();
  const made = await create();
  const createNs = nsSince(created) / count;
  const bytes = (liveBytes() - before) / count;
  const cancelled = process.hrtime.bigint();
  await cancel(made);
  return [createNs, bytes, nsSince(cancelled) / count];
}

/** 100,000 workers in a scope of their own, closed. */
export function inScope(label: string, worker: Worker<unknown>): Case {
  const create = () => {
    const handle = createScope();
    for (let index = 0; index < COUNT; index++) spawn(handle, worker);
    return handle;
  };
  return { label, run: () => live(COUNT, create, (handle) => handle.close()) };
}

/** Promises made by `make`, which returns how to reject its promise; settled together. */
export function byHand(
  label: string,
  make: (reject: (error: unknown) => void) => (error: unknown) => void,
): Case {
  const create = () => {
    const aborts: ((error: unknown) => void)[] = [];
    const promises: Promise<unknown>[] = [];
    for (let index = 0; index < COUNT; index++) {
      promises.push(new Promise((_, reject) => aborts.push(make(reject))));
    }
    return { aborts, all: Promise.allSettled(promises).then(() => undefined) };
  };
  const cancel = ({ aborts, all }: ReturnType<typeof create>) => {
    const reason = new Error("cancelled");
    for (const abort of aborts) abort(reason);
    return all;
  };
  return { label, run: () => live(COUNT, create, cancel) };
}

const label = {
  floor: "promises only (the floor)",
  onCancel: "bough: onCancel",
  sleep: "bough: sleep",
} as const;

/** Fewer, since it needs a gigabyte for the others' number. */
const EFFECTION_COUNT = 10_000;

const cases: readonly Case[] = [
  byHand(label.floor, (reject) => reject),
  inScope(label.onCancel, (scope) => new Promise((_, reject) => scope.onCancel(reject))),
  inScope(
    "bough: onCancel, async worker",
    async (scope) => await new Promise((_, reject) => scope.onCancel(reject)),
  ),
  byHand("setTimeout and its clearTimeout, by hand", (reject) => {
    const timer = setTimeout(reject, LONG);
    return (error) => {
      clearTimeout(timer);
      reject(error);
    };
  }),
  inScope(label.sleep, (scope) => sleep(scope, LONG)),
  {
    label: "Effect: forkChild of a callback with cleanup",
    rounds: rounds(3, 1),
    run: () => live(COUNT, () => forkAll(COUNT, callbackEffect), interrupt),
  },
  {
    label: "Effection: spawn of suspend (10,000)",
    rounds: rounds(3, 1),
    run: () => live(EFFECTION_COUNT, spawnSuspended, (task) => task.halt()),
  },
];

/** Forks so many of what `child` makes, and waits until the last has called `started`: a fork starts later. */
export async function forkAll(
  count: number,
  child: (started: () => void) => Effect.Effect<unknown>,
): Promise<Fiber.Fiber<unknown>> {
  let resolve!: () => void;
  const ready = new Promise<void>((settle) => (resolve = settle));
  let running = 0;
  const effect = child(() => {
    running += 1;
    if (running === count) resolve();
  });
  const fiber = Effect.runFork(
    Effect.gen(function* () {
      for (let index = 0; index < count; index++) yield* Effect.forkChild(effect);
      yield* Effect.never;
    }),
  );
  await ready;
  return fiber;
}

export function interrupt(fiber: Fiber.Fiber<unknown>): Promise<void> {
  return Effect.runPromise(Fiber.interrupt(fiber));
}

/** Somebody has to hold the way to wake them, as an event source would: else what waits is garbage. */
const sources = new Set<unknown>();

function callbackEffect(started: () => void): Effect.Effect<never> {
  return Effect.callback<never>((resume) => {
    sources.add(resume);
    started();
    return Effect.sync(() => sources.delete(resume));
  });
}

async function spawnSuspended(): Promise<{ halt: () => Promise<void> }> {
  let started!: () => void;
  const ready = new Promise<void>((resolve) => (started = resolve));
  const task = run(function* () {
    for (let index = 0; index < EFFECTION_COUNT; index++) yield* spawnOperation(suspend);
    started();
    yield* suspend();
  });
  task.catch(() => undefined);
  await ready;
  return { halt: async () => await task.halt() };
}

/** 100,000 children that wait to be cancelled: what one costs while it lives, and to stop it. */
export const suspended: Group = {
  name: "suspended",
  async run(progress) {
    const go = startGo();
    const goCases: readonly Case[] = go
      ? [
          {
            label: "Go: goroutine, WithCancel each",
            run: () => go.run("suspended", COUNT),
            rounds: rounds(6, 1),
          },
        ]
      : [];
    try {
      const rows = await interleave([...cases, ...goCases], rounds(15, 2), rounds(2, 1), progress);
      return [
        {
          title: `${COUNT.toLocaleString("en")} suspended children, for each`,
          metrics: [
            { name: "create", unit: "ns" },
            { name: "live", unit: "bytes" },
            { name: "cancel + join", unit: "ns" },
          ],
          base: label.floor,
          rows,
          targets: [label.onCancel, label.sleep].flatMap((row) => [
            {
              what: `a suspended worker, promise included (${row})`,
              better: "lower",
              unit: "bytes",
              limit: 520,
              measured: medianOf(rows, row, 1),
            },
            {
              what: `cancel and join, against the promises alone (${row})`,
              better: "lower",
              unit: "x",
              limit: 2,
              measured: ratio(rows, row, label.floor, 2),
            },
          ]),
          notes: go ? [] : [withoutGo],
        },
      ];
    } finally {
      go?.stop();
    }
  },
};
