import { Effect } from "effect";
import { interleave, ratio, type Case, type Group, type Target } from "./harness.js";
import { rounds } from "./options.js";
import { byHand, COUNT, forkAll, inScope, interrupt, live } from "./suspended.js";

const label = { node: "Node: controller, signal, listener", bough: "bough: scope.signal, listener" } as const;

const cases: readonly Case[] = [
  byHand(label.node, (reject) => {
    const controller = new AbortController();
    const { signal } = controller;
    signal.addEventListener("abort", () => reject(signal.reason));
    return (error) => controller.abort(error);
  }),
  inScope(
    label.bough,
    ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  ),
  {
    label: "Effect: forkChild of a promise, signal taken",
    rounds: rounds(3, 1),
    run: () => live(COUNT, () => forkAll(COUNT, promiseEffect), interrupt),
  },
];

function promiseEffect(started: () => void): Effect.Effect<never> {
  return Effect.promise((signal) => {
    started();
    return new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  });
}

/** 100,000 children that listen to their signal: the part that is Node's, and what bough adds. */
export const signals: Group = {
  name: "signals",
  async run(progress) {
    const rows = await interleave(cases, rounds(9, 2), rounds(1, 0), progress);
    const metrics = [
      { name: "create", unit: "ns" },
      { name: "live", unit: "bytes" },
      { name: "cancel + join", unit: "ns" },
    ] as const;
    const targets = metrics.map(({ name }, index): Target => ({
      what: `a worker that listens to its signal, against Node's own: ${name}`,
      better: "lower",
      unit: "x",
      limit: 1.2,
      measured: ratio(rows, label.bough, label.node, index),
    }));
    const title = "100,000 suspended children that listen to their signal, for each";
    return [{ title, metrics, base: label.node, rows, targets, notes: [] }];
  },
};
