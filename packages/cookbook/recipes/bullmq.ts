import { createScope, shield, withScope, type Scope } from "bough";
import { Worker, type ConnectionOptions, type Job } from "bullmq";

/** Processes a queue until `scope` ends. Then it takes no more jobs, and gives running jobs 20 s to finish. */
export function workOff<T>(
  scope: Scope,
  queue: string,
  connection: ConnectionOptions,
  handle: (own: Scope, job: Job<T>) => Promise<unknown>,
): Worker<T> {
  const jobs = createScope({ name: queue }); // a root: cancelling `scope` does not cancel the jobs
  const worker = new Worker<T>(
    queue,
    (job, _token, signal) =>
      withScope(jobs, { name: job.name, timeout: 60_000, signal }, (own) => handle(own, job)),
    { connection, concurrency: 4 },
  );
  scope.defer(() =>
    shield(scope, { timeout: 20_000 }, async (limited) => {
      limited.onCancel(({ kind }) => jobs.cancel(kind));
      await worker.close(); // waits for the jobs
      await jobs.close();
    }),
  );
  return worker;
}
