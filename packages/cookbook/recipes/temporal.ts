import { sleep, spawn, withScope, type Scope } from "bough";
import { Context } from "@temporalio/activity";

/** Turns `body` into an activity. Its scope is cancelled with the activity, and sends heartbeats while `body` runs. */
export function activity<A extends readonly unknown[], T>(
  body: (scope: Scope, ...args: A) => Promise<T>,
): (...args: A) => Promise<T> {
  return (...args) => {
    const { info, cancellationSignal, heartbeat } = Context.current();
    return withScope({ name: info.activityType, signal: cancellationSignal }, async (scope) => {
      spawn(
        scope,
        async function heartbeats(task) {
          for (;;) {
            heartbeat();
            await sleep(task, 5_000);
          }
        },
        { daemon: true },
      );
      return await body(scope, ...args);
    });
  };
}

// export const resizeImage = activity(async (scope, url: string) => fetch(url, { signal: scope.signal }) …);
