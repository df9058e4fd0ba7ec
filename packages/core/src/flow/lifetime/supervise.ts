import { elapsed } from "../../kernel/monotonic-clock.js";
import { isStackOverflow } from "../../kernel/stack-headroom.js";
import { nameOf } from "../../kernel/name.js";
import type { ScopeNode } from "../../kernel/node.js";
import type { Scope } from "../../kernel/scope.js";
import { throwFailure } from "../../kernel/lifecycle.js";
import { callSite } from "../../kernel/call-site.js";
import { isThenable } from "../../errors/user-values.js";
import { optionNames } from "../../errors/option-names.js";
import { checkType, requireFunction, checkDuration, checkLimit } from "../../errors/validate.js";
import { checkTaskOptions } from "../../task/options.js";
import { nodeOf } from "../../task/node-of.js";
import type { Worker } from "../../task/worker.js";
import { startTask } from "../../task/spawn.js";
import type { Task } from "../../task/task.js";
import { attempt } from "./attempt.js";
import { readBackoff, delayBefore, type Backoff } from "../time/backoff.js";
import { sleep } from "../time/sleep.js";

/** The options of {@link supervise}. */
export interface SuperviseOptions {
  /** The name of the task. Default: the name of the worker function, or `"anonymous"`. */
  readonly name?: string | undefined;
  /**
   * Milliseconds from the call that the task may take, with all its runs and delays. A task that exceeds it has failed with
   * a `DeadlineExceededError`. 0 starts nothing. Default: no limit.
   */
  readonly timeout?: number | undefined;
  /** Whether the task is cancelled when `scope` has nothing else left to do. Default `false`. */
  readonly daemon?: boolean | undefined;
  /** How many restarts are allowed within {@link window}; a whole number from 0, or `Infinity`. Default 5. */
  readonly maxRestarts?: number | undefined;
  /** The time in milliseconds after which a restart no longer counts. Default 60,000. */
  readonly window?: number | undefined;
  /** The delay in milliseconds before the first restart within the window. It doubles with each restart, with jitter. Default 100. */
  readonly minDelay?: number | undefined;
  /** The longest delay in milliseconds. Default 30,000. */
  readonly maxDelay?: number | undefined;
  /**
   * Called before the delay with each failure that leads to a restart. `restarts` counts all restarts including this one. A
   * promise that it returns is awaited before the delay. Default: none.
   */
  readonly onRestart?: ((error: unknown, restarts: number) => unknown) | undefined;
}

const superviseOptionNames = /* @__PURE__ */ optionNames<SuperviseOptions>({
  name: true,
  timeout: true,
  daemon: true,
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
  readonly onRestart: SuperviseOptions["onRestart"];
}

/**
 * Starts `worker` as a child task of `scope`, and restarts it with growing delays whenever it fails.
 *
 * Each run has its own scope, named `#1`, `#2` and so on. The next run begins only when everything in the previous scope
 * has settled. A worker that returns is not restarted.
 *
 * **Failure:** if the worker fails after `maxRestarts` restarts within `window`, the task fails with that error, the same
 * object, and as with any task `scope` is cancelled. Earlier failures were passed to `onRestart` only. If `onRestart`
 * throws or rejects, the task fails with that error.
 *
 * **Cancellation:** cancelling the task or `scope` ends the run or the delay, and the worker is not restarted. A worker
 * that cancels its own scope ends the task as cancelled. If `scope` is already cancelled, the worker is not called.
 *
 * @param scope - The owner of the task.
 * @param worker - Called synchronously, and again for each restart.
 * @param options - How many restarts, and the delays between them in ms; `name`, `daemon`, and `timeout` in ms.
 * @returns The task. Await it for the worker's value.
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
export function supervise<T>(scope: Scope, worker: Worker<T>, options: SuperviseOptions = {}): Task<T> {
  requireFunction("supervise", "worker", worker);
  checkTaskOptions("supervise", options, superviseOptionNames);
  const { maxRestarts = 5, window = 60_000, onRestart } = options;
  const { name = nameOf(worker), timeout, daemon } = options;
  checkLimit("supervise", "maxRestarts", maxRestarts, 0);
  checkDuration("supervise", "window", window);
  checkType("supervise", "onRestart", "function", onRestart);
  const settings = { maxRestarts, window, onRestart, backoff: readBackoff("supervise", options) };
  const parent = nodeOf("supervise", "scope", scope);
  const site = callSite(supervise);
  const body = (own: Scope): Promise<T> => keepRunning(own, worker, settings, site);
  return startTask(parent, body, { name, timeout, daemon }, site);
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
    if (isStackOverflow(result.error)) throwFailure(node, result.error); // a restart would overflow the stack again
    // Cancelled right after the run: there will be no restart, so onRestart is not called.
    if (own.cancelled || recent.length >= maxRestarts) throwFailure(node, result.error);
    recent.push(now);
    try {
      const returned = onRestart?.(result.error, run);
      if (isThenable(returned)) await returned;
    } catch (thrown) {
      if (!own.cancelled) throwFailure(node, thrown);
      throw thrown;
    }
    await sleep(own, delayBefore(recent.length, backoff));
  }
}
