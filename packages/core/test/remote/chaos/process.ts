// A process of the chaos run: an owner or a worker. Arguments: role, name, engine as JSON, lease, log file.

import { openSync, writeSync } from "node:fs";
import { isCancelled, sleep, spawn, withScope, type Scope } from "../../../src/index.js";
import { main } from "../../../src/process/index.js";
import {
  connectRemote,
  implement,
  RemoteError,
  RemoteLostError,
  serve,
  type Remote,
} from "../../../src/remote/index.js";
import { engineOf, type EngineChoice } from "./engines.js";
import { GAP, machineNow, planOf, work, type Line } from "./plan.js";

const [role, name, choice, lease, log] = process.argv.slice(2) as [string, string, string, string, string];
const file = openSync(log, "a");
const write = (line: Omit<Line, "at" | "process">): void => {
  writeSync(file, `${JSON.stringify({ at: machineNow(), process: name, ...line })}\n`);
};

const LANES = 60;

/** Shows when this process does not run at all, or is busy: stopped by a signal, or waiting for a processor. */
let turned = machineNow();
setInterval(() => {
  const now = machineNow();
  if (now - turned > GAP) write({ what: "gap", since: turned });
  turned = now;
}, 5).unref();

await main(async (scope) => {
  const engine = engineOf(JSON.parse(choice) as EngineChoice);
  await (role === "owner"
    ? own(scope, await connectRemote(scope, engine, { lease: Number(lease) }))
    : labour(scope));

  async function labour(inner: Scope): Promise<void> {
    const { workerLease } = JSON.parse(choice) as EngineChoice;
    await serve(
      inner,
      engine,
      [
        implement(work, async (job, { n, ms, fails }, { attempt }) => {
          write({ what: "start", n, attempt });
          job.onCancel(({ kind }) => write({ what: "signal", n, attempt, kind }));
          try {
            await sleep(job, ms);
            if (fails) throw new RangeError(`job ${n}`);
            return `done ${n}`;
          } finally {
            write({ what: "end", n, attempt });
          }
        }),
      ],
      { concurrency: 24, lease: workerLease, worker: name },
    );
    process.send?.("ready");
  }
});

async function own(scope: Scope, remote: Remote): Promise<void> {
  const next = numbers();
  await withScope(scope, { supervise: true }, async (lanes) => {
    for (let lane = 0; lane < LANES; lane++) spawn(lanes, (own) => runLane(own, remote, next));
  });
  write({ what: "exit" });
  process.disconnect();
}

async function runLane(scope: Scope, remote: Remote, next: () => Promise<number | undefined>): Promise<void> {
  for (let n = await next(); n !== undefined; n = await next()) {
    const number = n;
    const { ms, fails, cancelAfter, timeout } = planOf(number);
    write({ what: "spawn", n });
    const outcome = await withScope(scope, { supervise: true }, async (own) => {
      const options = { lostRetries: 1_000, ...(timeout === undefined ? {} : { timeout }) };
      const task = remote.spawn(own, work, { n: number, ms, fails }, options);
      if (cancelAfter !== undefined)
        spawn(
          own,
          async (timer) => {
            await sleep(timer, cancelAfter);
            task.cancel();
          },
          { daemon: true },
        );
      return task.then((value) => value, describe);
    }).catch(describe);
    write({ what: "settled", n, outcome });
  }
}

function describe(error: unknown): string {
  if (error instanceof RemoteLostError) return `lost ${error.why}`;
  if (error instanceof RemoteError) return `failed ${error.name}`;
  if (isCancelled(error)) return error.kind;
  return `error ${String(error)}`;
}

/** The parent process hands out the numbers of the jobs. */
function numbers(): () => Promise<number | undefined> {
  const waiting: ((n: number | undefined) => void)[] = [];
  process.on("message", (n: number | "end") => waiting.shift()?.(n === "end" ? undefined : n));
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      process.send?.("next");
    });
}
