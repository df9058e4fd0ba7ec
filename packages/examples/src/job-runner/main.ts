// Runs jobs in a worker that crashes now and then. One job can't be done at all; in the end nothing can.

import { sleep, withScope, type Scope } from "bough";
import { JobRunner, type Job } from "./job-runner.js";

const started = performance.now();
const tell = (what: string): void => {
  console.log(`${(performance.now() - started).toFixed(0).padStart(5)} ms  ${what}`);
};

let handled = 0;
let storageIsDown = false;

/** Every seventh call crashes, and so does job 10, always. */
async function handle(scope: Scope, { id }: Job): Promise<void> {
  await sleep(scope, 10);
  if (storageIsDown) throw new Error("the storage is down");
  if (id === 10) throw new Error("job 10 makes no sense");
  if (++handled % 7 === 0) throw new Error("out of luck");
}

const backoff = { minDelay: 20, maxDelay: 200, maxRestarts: 5, window: 1_000 };

await withScope(async (scope) => {
  const runner = new JobRunner(scope, {
    handle,
    ...backoff,
    onRestart: (error, restarts) => tell(`restart ${restarts}: ${(error as Error).message}`),
    onGivenUp: ({ id }, error) => tell(`job ${id} is given up: ${(error as Error).message}`),
  });
  for (let id = 1; id <= 20; id++) await runner.submit(scope, { id });
  runner.end();
  scope.defer(() => tell(`${runner.done} of 20 jobs are done`));
});

storageIsDown = true;
const outcome = withScope(async (scope) => {
  const runner = new JobRunner(scope, {
    handle,
    ...backoff,
    attempts: Infinity,
    onRestart: (error, restarts) => tell(`restart ${restarts}: ${(error as Error).message}`),
  });
  await runner.submit(scope, { id: 1 });
  await sleep(scope, Infinity); // serves until it is cancelled
});
await outcome.catch((error: unknown) => tell(`the runner has failed: ${(error as Error).message}`));
