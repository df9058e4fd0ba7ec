/* oxlint-disable eslint/no-console -- its output is what the test reads */
import { observeBehaviour, type Behaviour } from "./behaviour.js";
import { runTable, type RowResult } from "./table.js";

/** The results of the program, in any host. */
export interface Report {
  readonly rows: readonly RowResult[];
  readonly behaviour: Behaviour;
}

const host = globalThis as { process?: { exit?: (code: number) => void }; gcReport?: (text: string) => void };
const behaviour = await observeBehaviour();
const report: Report = { behaviour, rows: await runTable() };
if (host.gcReport !== undefined) host.gcReport(JSON.stringify(report));
else {
  console.log(JSON.stringify(report));
  host.process?.exit?.(0); // the pinned ones still run
}
