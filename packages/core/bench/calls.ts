import { createScope, spawn, withScope } from "./bough.js";
import { collect, interleave, timed, type Group, type Table } from "./harness.js";
import { options, rounds } from "./options.js";
import { trivial } from "./peers.js";

const COUNT = 20_000;

/** A job that awaits `step` so many times, one after the other. */
function awaited(step: () => Promise<unknown>): () => Promise<void> {
  return async () => {
    for (let index = 0; index < COUNT; index++) await step();
  };
}

/** A job that does `step` so many times. */
function repeated(step: () => unknown): () => void {
  return () => {
    for (let index = 0; index < COUNT; index++) step();
  };
}

const perCall = [
  timed("an async function, awaited", COUNT, awaited(trivial)),
  timed(
    "bough: withScope",
    COUNT,
    awaited(() => withScope(trivial)),
  ),
  timed(
    "bough: createScope, close",
    COUNT,
    awaited(() => createScope().close()),
  ),
  timed("bough: createScope, spawn, join", COUNT, awaited(joined)),
];

function joined(): Promise<void> {
  const handle = createScope();
  spawn(handle, trivial);
  return handle.join();
}

const scope = createScope();
const deadlined = createScope({ timeout: 1e9 });
const { signal } = new AbortController();

function callback(): void {}

const perCheck = [
  timed(
    "signal.throwIfAborted()",
    COUNT,
    repeated(() => signal.throwIfAborted()),
  ),
  timed(
    "bough: throwIfCancelled()",
    COUNT,
    repeated(() => scope.throwIfCancelled()),
  ),
  timed(
    "bough: throwIfCancelled(), with a deadline",
    COUNT,
    repeated(() => deadlined.throwIfCancelled()),
  ),
];

const perCallback = [
  timed(
    "signal: addEventListener, removeEventListener",
    COUNT,
    repeated(() => {
      signal.addEventListener("abort", callback);
      signal.removeEventListener("abort", callback);
    }),
  ),
  timed(
    "bough: onCancel, stop",
    COUNT,
    repeated(() => scope.onCancel(callback)()),
  ),
];

/** The cost of single calls. They have no targets, and are for the reader of docs/maintainers/performance.md. */
export const calls: Group = {
  name: "calls",
  async run(progress) {
    const tables: Table[] = [];
    const groups = [
      ["A scope for each request, one after the other", perCall],
      ["Checking for cancellation", perCheck],
      ["Adding and removing a callback", perCallback],
    ] as const;
    for (const [title, cases] of groups) {
      collect();
      const rows = await interleave(cases, rounds(60, 10), options.quick ? 3 : 10, progress);
      const metrics = [{ name: "a call", unit: "ns" }] as const;
      tables.push({ title, metrics, base: cases[0]?.label ?? "", rows, targets: [], notes: [] });
    }
    await Promise.all([scope.close(), deadlined.close()]);
    return tables;
  },
};
