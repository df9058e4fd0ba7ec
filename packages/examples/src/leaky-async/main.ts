// Prints what the original's `go test -v` and its benchmarks print. `--rounds=2147483647` makes the loops of the benchmark
// as long as the original's; by default they are shorter, and the times scaled up.

import { parseArgs } from "node:util";
import { recordOrigins } from "bough/testing";
import { measure } from "./benchmark.js";
import { runLeakTest, type LeakTest } from "./leak-test.js";
import { contextAsync, leakyAsync, MAX_INT32, selecting } from "./perform.js";

const { values } = parseArgs({ options: { rounds: { type: "string", default: String(2 ** 24) } } });
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) {
  throw new RangeError(`--rounds must be a whole number from 1, got ${JSON.stringify(values.rounds)}`);
}

const tests: readonly LeakTest[] = [
  { name: "TestSelecting", body: (parent) => selecting(parent, 1_000) },
  { name: "TestLeakyAsync", body: (parent) => leakyAsync(parent, 1_000) },
  { name: "TestContextAsync", body: (parent) => contextAsync(parent, 1_000) },
];

const stopRecording = recordOrigins();
const verdicts = [];
for (const test of tests) {
  const verdict = await runLeakTest(test);
  console.log(verdict.lines.join("\n"));
  verdicts.push(verdict);
}
stopRecording();

/** The patterns, with what the original measured: ns/op, B/op and allocs/op, on a Mac of 2020. */
const benchmarks = [
  { name: "Selecting", pattern: selecting, go: [10_114_375_732, 104, 2] },
  { name: "LeakyAsync", pattern: leakyAsync, go: [585_489_776, 704, 3] },
  { name: "ContextAsync", pattern: contextAsync, go: [570_398_894, 976, 9] },
] as const;

const row = (cells: readonly string[]): string =>
  cells.map((cell, column) => (column === 0 ? cell.padEnd(14) : cell.padStart(14))).join("");

console.log(`\nLoops of ${rounds} rounds, the times scaled up to the original's ${MAX_INT32}\n`);
console.log(row(["", "Go ns/op", "B/op", "allocs/op", "here ns/op", "B/op left"]));
for (const { name, pattern, go } of benchmarks) {
  const { time, left } = await measure(pattern, rounds);
  console.log(row([name, ...[...go, time, left].map((figure) => figure.toFixed(0))]));
}

const caught = verdicts.filter(({ passed }) => !passed).map(({ name }) => name);
console.log(`\nThe leak checker caught: ${caught.join(", ")}`);
process.exitCode = caught.join() === "TestLeakyAsync" ? 0 : 1;
