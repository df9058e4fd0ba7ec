import { collectedCases } from "./collected.js";
import { pinnedCases } from "./pinned.js";
import { collect, collectUntil, host, Probe, type Case } from "./probe.js";

/** Of so many handles of one kind. */
const COPIES = 8;

export interface RowResult {
  readonly row: string;
  readonly expected: "collected" | "pinned";
  readonly collected: number;
  readonly orphaned: number;
  readonly copies: number;
}

/** Runs every case here and now, and says what became of its handles. */
export async function runTable(): Promise<RowResult[]> {
  const results: RowResult[] = [];
  for (const one of collectedCases) {
    if (one.needsNode === true && host === "browser") continue;
    results.push(await observe(one, one.unlike === host ? "pinned" : "collected"));
  }
  for (const one of pinnedCases) {
    if (one.needsNode === true && host === "browser") continue;
    results.push(await observe(one, one.unlike === host ? "collected" : "pinned"));
  }
  return results;
}

async function observe(one: Case, expected: RowResult["expected"]): Promise<RowResult> {
  const probes: Probe[] = [];
  const kept: unknown[] = [];
  for (let copy = 0; copy < COPIES; copy++) {
    const probe = new Probe(`${one.row} ${copy}`);
    probes.push(probe);
    kept.push(await one.run(probe, copy));
  }
  if (expected === "collected") await collectUntil(() => probes.every((probe) => probe.collected));
  else for (let round = 0; round < 4; round++) await collect();
  await collect();
  const count = (test: (probe: Probe) => boolean): number => probes.filter(test).length;
  const result: RowResult = {
    row: one.row,
    expected,
    collected: count((probe) => probe.collected),
    orphaned: count((probe) => probe.orphaned === 1),
    copies: COPIES,
  };
  if (kept.length !== COPIES) throw new Error("kept to the end");
  return result;
}
