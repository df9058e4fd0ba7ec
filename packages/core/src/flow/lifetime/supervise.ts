import { elapsed } from "../../kernel/age-clock.js";
import { isStackOverflow } from "../../kernel/headroom.js";
import { nameOf } from "../../kernel/name.js";
import type { ScopeNode } from "../../kernel/node.js";
import type { Scope } from "../../kernel/scope.js";
import { throwFailure } from "../../kernel/lifecycle.js";
import { callSite } from "../../kernel/call-site.js";
import { optionNames } from "../../errors/option-names.js";
import {
  checkType,
  requireFunction,
  checkDuration,
  checkLimit,
  checkOptionsObject,
} from "../../errors/validate.js";
import { nodeOf } from "../../task/resolve.js";
import type { Worker } from "../../task/run.js";
import { startTask } from "../../task/spawn.js";
import type { Task } from "../../task/task.js";
import { attempt } from "./attempt.js";
import { backoffOf, delayBefore, type Backoff } from "../time/backoff.js";
import { sleep } from "../time/sleep.js";

/** What {@link supervise} takes. */
export interface SupervisorOptions {
  /** How many restarts there may be within {@link window}; a whole number from 0, or `Infinity`. Default 5. */
  readonly maxRestarts?: number | undefined;
  /** Milliseconds after which a restart no longer counts. Default 60,000. */
  readonly window?: number | undefined;
  /** Milliseconds before the first restart within the window; doubles with each, with jitter. Default 100. */
  readonly minDelay?: number | undefined;
  /** Milliseconds that no delay exceeds. Default 30,000. */
  readonly maxDelay?: number | undefined;
  /** Hears of each failure that leads to a restart, before the delay; `restarts` counts all so far, this one included. */
  readonly onRestart?: ((error: unknown, restarts: number) => void) | undefined;
}

const supervisorOptionNames = optionNames<SupervisorOptions>({
  maxRestarts: true,
  window: true,
  minDelay: true,
  maxDelay: true,
  onRestart: true,
});

interface Settings {
  readonly maxRestarts: number;
  readonly window: number;
  readonly backoff: Backoff;
  readonly onRestart: ((error: unknown, restarts: number) => void) | undefined;
}

/**
 * Starts `worker` as a child task of `scope` and, whenever it fails, starts it again, with growing delays.
 *
 * Each run has a scope of its own, called `#1`, `#2` and so on; the next begins only when everything in the one
 * before has settled. A worker that returns is done, and is not restarted.
 *
 * **Failure:** when there have been `maxRestarts` restarts within `window` and the worker fails once more, the task
 * fails with that last error, the same object, as any task does: its scope hears of it. The failures before went to
 * `onRestart` only. What `onRestart` throws fails the task.
 *
 * **Cancellation:** cancelling the task or `scope` ends the run or the delay, and nothing is restarted. A worker that
 * cancels its own scope ends the task as cancelled. In a scope that is cancelled already the worker is not called.
 *
 * @param scope - The owner.
 * @param worker - Called synchronously, and again for each restart.
 * @param options - How many restarts, and how long to wait between; times in ms.
 * @returns The task: await it for the worker's value.
 * @throws {ScopeClosedError} If `scope` has ended.
 * @throws {TypeError | RangeError} If an argument is bad. Nothing was started.
 * @example
 * ```ts
 * await withScope(async (scope) => {
 *   let runs = 0;
 *   const poller = supervise(scope, async function poll() {
 *     if (++runs < 3) throw new Error("connection lost");
 *     return "done";
 *   }, { minDelay: 1, onRestart: (error, restarts) => console.log("restart", restarts, String(error)) });
 *   console.log(await poller); // done
 * });
 * ```
 */
export function supervise<T>(scope: Scope, worker: Worker<T>, options: SupervisorOptions = {}): Task<T> {
  requireFunction("supervise", "worker", worker);
  checkOptionsObject("supervise", options, supervisorOptionNames, "{ maxRestarts: 3 }");
  const { maxRestarts = 5, window = 60_000, onRestart } = options;
  checkLimit("supervise", "maxRestarts", maxRestarts, 0);
  checkDuration("supervise", "window", window);
  checkType("supervise", "onRestart", "function", onRestart);
  const settings = { maxRestarts, window, onRestart, backoff: backoffOf("supervise", options) };
  const parent = nodeOf("supervise", "scope", scope);
  const name = nameOf(worker);
  const site = callSite(supervise);
  return startTask(parent, (own) => keepRunning(own, worker, settings, site), { name }, site);
}

async function keepRunning<T>(
  own: Scope,
  worker: Worker<T>,
  settings: Settings,
  site: string | undefined,
): Promise<T> {
  const { maxRestarts, window, backoff, onRestart } = settings;
  const node = own as ScopeNode;
  let recent: number[] = [];
  for (let run = 1; ; run++) {
    const result = await attempt(own, { name: `#${run}` }, worker, site);
    if (result.status === "succeeded") return result.value;
    if (result.status === "cancelled") {
      own.cancel(result.reason.cause);
      throw own.reason;
    }
    const now = elapsed();
    recent = recent.filter((instant) => now - instant < window);
    if (isStackOverflow(result.error)) throwFailure(node, result.error); // the same again, from an empty stack, has no end
    // Cancelled in the moment after the run: there will be no restart that onRestart could hear of.
    if (own.cancelled || recent.length >= maxRestarts) throwFailure(node, result.error);
    recent.push(now);
    try {
      onRestart?.(result.error, run);
    } catch (thrown) {
      throwFailure(node, thrown);
    }
    await sleep(own, delayBefore(recent.length, backoff));
  }
}
