import { spawn, withScope } from "./bough.js";
import { startGo, withoutGo } from "./go.js";
import { hasRow, interleave, ratio, timed, type Case, type Group, type Row, type Target } from "./harness.js";
import { options, rounds } from "./options.js";
import * as peers from "./peers.js";

const COUNT = 10_000;
const major = Number(process.versions.node.split(".")[0]);

function spawnAndJoin(): Promise<void> {
  return withScope(async (scope) => {
    for (let index = 0; index < COUNT; index++) spawn(scope, peers.trivial);
  });
}

function spawnAndAwaitEach(): Promise<unknown> {
  return withScope(async (scope) => {
    const tasks: Promise<number>[] = [];
    for (let index = 0; index < COUNT; index++) tasks.push(spawn(scope, peers.trivial));
    return Promise.all(tasks);
  });
}

const label = {
  base: "Promise.all (lower bound)",
  bough: "bough: spawn, the scope joins",
  go: "Go: goroutine + WaitGroup",
  forkChild: "Effect: forkChild",
  effection: "Effection: spawn",
} as const;

const fast = rounds(120, 12);
const slow = rounds(12, 2);
const job = (run: (count: number) => Promise<unknown>) => () => run(COUNT);

const cases: readonly Case[] = [
  timed(label.base, COUNT, job(peers.promiseAll)),
  timed(label.bough, COUNT, spawnAndJoin),
  timed("bough: spawn, and every task awaited", COUNT, spawnAndAwaitEach),
  timed("p-limit", COUNT, job(peers.limited), slow * 2),
  timed("controllers in a Set, by hand", COUNT, job(peers.controllerSet), slow),
  timed("AbortSignal.any per child", COUNT, job(peers.abortSignalAny), slow),
  timed("a listener per child, by hand", COUNT, job(peers.controllerListeners), slow),
  timed("abort-controller-x: fork", COUNT, job(peers.abortControllerX), slow),
  timed(label.forkChild, COUNT, job(peers.effectForkChild), slow * 2),
  timed("Effect: forkScoped", COUNT, job(peers.effectForkScoped), slow),
  timed("Effect: FiberSet", COUNT, job(peers.effectFiberSet), slow),
  timed(label.effection, COUNT, job(peers.effection), rounds(4, 1)),
];

function targets(rows: readonly Row[]): readonly Target[] {
  const against = (base: string) => ratio(rows, label.bough, base);
  const times = (what: string, better: Target["better"], limit: number, measured: number): Target => ({
    what,
    better,
    limit,
    measured,
    unit: "x",
  });
  const list = [
    times("spawn and join, against Promise.all", "lower", major === 20 ? 4 : 5, against(label.base)),
    times("spawn and join, faster than Effect's forkChild by", "higher", 8, 1 / against(label.forkChild)),
    times("spawn and join, faster than Effection's spawn by", "higher", 200, 1 / against(label.effection)),
  ];
  if (hasRow(rows, label.go))
    list.push(times("spawn and join, against a goroutine with a WaitGroup", "lower", 1, against(label.go)));
  return list;
}

/** 10,000 children that have nothing to do: what owning them costs. */
export const spawnJoin: Group = {
  name: "spawn-join",
  async run(progress) {
    const go = startGo();
    const goCases: readonly Case[] = go
      ? [
          { label: label.go, run: () => go.run("waitGroup", COUNT) },
          { label: "Go: context.WithCancel each", run: () => go.run("withCancel", COUNT) },
        ]
      : [];
    try {
      const all = [...cases, ...goCases];
      const measured = await interleave(all, fast, options.quick ? 3 : 10, progress);
      // The Go program answers with three numbers; here the first is all there is.
      const rows = measured.map((row) => ({ ...row, values: row.values.slice(0, 1) }));
      const title = `Spawn and join ${COUNT.toLocaleString("en")} trivial children, for each`;
      const metrics = [{ name: "spawn + join", unit: "ns" }] as const;
      const notes = [go ? `${go.version}.` : withoutGo];
      return [{ title, metrics, base: label.base, rows, targets: targets(rows), notes }];
    } finally {
      go?.stop();
    }
  },
};
