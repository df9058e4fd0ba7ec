import { sleep, spawn, withScope, type Scope } from "bough";
import { Context } from "@temporalio/activity";

/** Makes an activity of `body`: its scope is cancelled when the activity is, and heartbeats until it has settled. */
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
