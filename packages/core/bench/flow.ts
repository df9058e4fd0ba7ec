import { createChannel, createSemaphore, map, race, spawn, withScope, type Scope } from "./bough.js";
import {
  interleave,
  ratio,
  timed,
  type Case,
  type Group,
  type Progress,
  type Row,
  type Table,
} from "./harness.js";
import * as peers from "./flow-peers.js";
import { options, rounds } from "./options.js";
import { promiseAll, trivial } from "./peers.js";

const COUNT = 10_000;
const LIMIT = 10;
const fast = rounds(60, 8);
const slow = rounds(12, 2);

const base = {
  map: "Promise.all, unbounded (lower bound)",
  race: "Promise.race, the loser left alone",
} as const;

const untilCancelled = (scope: Scope): Promise<never> =>
  new Promise((_, reject) => {
    scope.onCancel(reject);
  });

function mapped(): Promise<unknown> {
  const items = [...Array(COUNT).keys()];
  return withScope((scope) => map(scope, items, trivial, { concurrency: LIMIT }));
}

const channelled = (capacity: number) => (): Promise<void> =>
  withScope(async (scope) => {
    const channel = createChannel<number>(capacity);
    spawn(scope, async (own) => {
      for (let n = 0; n < COUNT; n++) await channel.send(own, n);
    });
    for (let n = 0; n < COUNT; n++) await channel.receive(scope);
  });

/** As p-limit does it: functions that nobody owns. They wait in a scope, and stop waiting with it. */
function permitted(): Promise<unknown> {
  const semaphore = createSemaphore(LIMIT);
  return withScope((scope) => {
    const one = async (): Promise<void> => {
      const permit = await semaphore.acquire(scope);
      await trivial();
      permit[Symbol.dispose]();
    };
    return Promise.all(Array.from({ length: COUNT }, one));
  });
}

function permittedTasks(): Promise<void> {
  const semaphore = createSemaphore(LIMIT);
  return withScope((scope) => {
    for (let n = 0; n < COUNT; n++) {
      spawn(scope, async (own) => {
        const permit = await semaphore.acquire(own);
        await trivial();
        permit[Symbol.dispose]();
      });
    }
  });
}

function raced(): Promise<void> {
  return withScope(async (scope) => {
    for (let n = 0; n < COUNT; n++) await race(scope, [untilCancelled, trivial]);
  });
}

const maps: readonly Case[] = [
  timed(base.map, COUNT, () => promiseAll(COUNT)),
  timed("bough: map", COUNT, mapped),
  timed("p-limit", COUNT, () => peers.mapLimited(COUNT, LIMIT), slow * 2),
  timed("p-queue", COUNT, () => peers.mapQueued(COUNT, LIMIT), slow * 2),
  timed("Effect: forEach", COUNT, () => peers.mapEffect(COUNT, LIMIT), slow),
  timed(
    "Effection: spawn, by workers that share an iterator",
    COUNT,
    () => peers.mapEffection(COUNT, LIMIT),
    slow,
  ),
];

const channels: readonly Case[] = [
  timed("bough: channel of 16", COUNT, channelled(16)),
  timed("bough: rendezvous", COUNT, channelled(0)),
  timed("Effect: Queue.bounded(16)", COUNT, () => peers.channelEffect(COUNT, 16), slow * 2),
  timed("Effection: queue, unbounded", COUNT, () => peers.queueEffection(COUNT), slow),
];

const semaphores: readonly Case[] = [
  timed("bough: semaphore", COUNT, permitted),
  timed("bough: semaphore, in a task each", COUNT, permittedTasks),
  timed("p-limit", COUNT, () => peers.mapLimited(COUNT, LIMIT), slow * 2),
  timed("Effect: Semaphore", COUNT, () => peers.semaphoreEffect(COUNT, LIMIT), slow),
];

const races: readonly Case[] = [
  timed(base.race, COUNT, () => peers.racePromises(COUNT)),
  timed("bough: race", COUNT, raced),
  timed("Effect: raceFirst", COUNT, () => peers.raceEffect(COUNT), slow),
  timed("Effection: race", COUNT, () => peers.raceEffection(COUNT), rounds(4, 1)),
];

/** bough ahead of each of them. */
function ahead(rows: readonly Row[], label: string, rivals: readonly string[]): Table["targets"] {
  return rivals.map((rival) => ({
    what: `${label}, against ${rival}`,
    better: "lower",
    unit: "x",
    limit: 1,
    measured: ratio(rows, label, rival),
  }));
}

async function table(
  title: string,
  cases: readonly Case[],
  label: string,
  rivals: number,
  progress: Progress,
  notes: readonly string[],
): Promise<Table> {
  const rows = await interleave(cases, fast, options.quick ? 2 : 6, progress);
  const labels = cases.slice(-rivals).map((one) => one.label);
  return {
    title,
    metrics: [{ name: "time", unit: "ns" }],
    base: cases[0]?.label ?? "",
    rows,
    targets: ahead(rows, label, labels),
    notes,
  };
}

/** The cost of the combinators, beside the usual alternatives. */
export const flow: Group = {
  name: "flow",
  run: async (progress) => [
    await table(`Map ${COUNT} items, ${LIMIT} at once, for each`, maps, "bough: map", 4, progress, []),
    await table(
      `Send and receive ${COUNT} messages, for each`,
      channels,
      "bough: channel of 16",
      2,
      progress,
      ["Effection's queue has no bound: its sender never waits."],
    ),
    await table(
      `${COUNT} functions, ${LIMIT} at once by a semaphore, for each`,
      semaphores,
      "bough: semaphore",
      2,
      progress,
      [],
    ),
    await table(`${COUNT} races, one after the other, for each`, races, "bough: race", 2, progress, []),
  ],
};
