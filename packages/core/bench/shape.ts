import { createScope, spawn } from "./bough.js";
import { collect, interleave, medianOf, nsSince, type Case, type Group, type Target } from "./harness.js";
import { rounds } from "./options.js";
import type { Scope, ScopeHandle, Worker } from "../src/index.js";

const DEPTH = 100_000;
const WIDTH = 1_000_000;

/** Waits for its cancellation, as every level of these trees does. */
const waiting: Worker<never> = (scope) => new Promise((_, reject) => scope.onCancel(reject));

function deep(handle: ScopeHandle): void {
  let parent: Scope = handle;
  const descend: Worker<never> = (scope) => {
    parent = scope;
    return waiting(scope);
  };
  for (let level = 0; level < DEPTH; level++) spawn(parent, descend);
}

function wide(handle: ScopeHandle): void {
  for (let index = 0; index < WIDTH; index++) spawn(handle, waiting);
}

function tree(label: string, count: number, grow: (handle: ScopeHandle) => void): Case {
  const run = async (): Promise<readonly number[]> => {
    collect();
    const handle = createScope();
    const created = process.hrtime.bigint();
    grow(handle);
    const createNs = nsSince(created) / count;
    collect();
    const cancelled = process.hrtime.bigint();
    handle.cancel();
    const cancelNs = nsSince(cancelled) / count;
    await handle.close();
    return [createNs, cancelNs, nsSince(cancelled) / count];
  };
  return { label, run };
}

const label = { deep: "bough: 100,000 levels deep", wide: "bough: 1,000,000 children wide" } as const;

function atMostAMicrosecond(what: string, measured: number): Target {
  return { what, better: "lower", unit: "ns", limit: 1000, measured };
}

/** Trees of extreme shape: no recursion, and no cost that grows with the size. */
export const shape: Group = {
  name: "shape",
  async run(progress) {
    const cases = [tree(label.deep, DEPTH, deep), tree(label.wide, WIDTH, wide)];
    const rows = await interleave(cases, rounds(7, 1), rounds(1, 0), progress);
    return [
      {
        title: "Deep and wide trees, for each level or child",
        metrics: [
          { name: "create", unit: "ns" },
          { name: "cancel()", unit: "ns" },
          { name: "cancel + join", unit: "ns" },
        ],
        base: label.deep,
        rows,
        targets: [label.deep, label.wide].flatMap((row) => [
          atMostAMicrosecond(`cancel, no overflow (${row})`, medianOf(rows, row, 1)),
          atMostAMicrosecond(`cancel and join, no overflow (${row})`, medianOf(rows, row, 2)),
        ]),
        notes: [],
      },
    ];
  },
};
