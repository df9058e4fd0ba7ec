import http from "node:http";
import { serverScope, type ServerScope } from "../../src/http/index.js";
import { spawn, type Scope } from "../../src/index.js";
import { deferred, flush } from "./deferred.js";
import { untilCancelled } from "./until-cancelled.js";

/** A server's scope with a job that runs until `finish` is called, and what its daemon has taken. */
export function setUp(): {
  scope: ServerScope;
  job: Scope;
  finish: () => void;
  taken: unknown[];
  drain: () => Promise<unknown>;
} {
  const scope = serverScope(http.createServer());
  const over = deferred();
  let job!: Scope;
  spawn(scope, function runningJob(task) {
    job = task;
    return over.promise;
  });
  return { scope, job, finish: over.resolve, taken: [], drain: () => scope.shutdown({ grace: 60_000 }) };
}

/** A daemon that takes one item each time it is let to. */
export function consume(
  scope: Scope,
  taken: unknown[],
  take: (own: Scope) => Promise<unknown>,
): () => Promise<void> {
  let step = deferred();
  spawn(
    scope,
    async function consumer(own) {
      for (;;) {
        taken.push(await take(own));
        await Promise.race([step.promise, untilCancelled(own)]);
      }
    },
    { daemon: true },
  );
  return async () => {
    const before = step;
    step = deferred();
    before.resolve();
    await flush();
  };
}
