// `npm run chaos:remote -- --engine=bullmq --jobs=10000 --stops --skew`: prints a table; exits with 1 if a guarantee was broken.

/* oxlint-disable no-console -- a command that prints its result */

import { parseArgs } from "node:util";
import { formatVerdict } from "./judge.js";
import { GAP } from "./plan.js";
import { runChaos } from "./run.js";

const { values } = parseArgs({
  options: {
    engine: { type: "string", default: "pg-boss" },
    jobs: { type: "string", default: "10000" },
    stops: { type: "boolean", default: false },
    skew: { type: "boolean", default: false },
  },
});
const engine = values.engine === "bullmq" ? "bullmq" : "pg-boss";
const lease = 3_000;
const began = performance.now();
const verdict = await runChaos({
  engine,
  jobs: Number(values.jobs),
  owners: 3,
  workers: 3,
  every: 1_200,
  stops: values.stops,
  skew: values.skew,
  lease,
});
console.log(formatVerdict(engine, lease, (performance.now() - began) / 1_000, verdict));
for (const wrong of verdict.wrong.slice(0, 10)) console.log(`  wrong: ${wrong}`);
// A process that was stopped goes on with what it ran, until its event loop turns for the first time.
const beside = values.stops ? verdict.longestBesideTurning > GAP : verdict.beside > 0;
const isBroken = verdict.lost + verdict.wrong.length + verdict.left + verdict.startedAfterLease > 0 || beside;
process.exitCode = isBroken ? 1 : 0;
