import { isStackOverflow } from "../../kernel/headroom.js";
import { nameOf } from "../../kernel/name.js";
import { failToBegin } from "../../kernel/refusal.js";
import type { ScopeNode } from "../../kernel/node.js";
import type { Scope } from "../../kernel/scope.js";
import { passOverForReason } from "../../kernel/rejections.js";
import { fail, throwFailure } from "../../kernel/lifecycle.js";
import { callSite } from "../../kernel/call-site.js";
import { optionNames } from "../../errors/option-names.js";
import { requireFunction, checkDuration, checkLimit, checkOptionsObject } from "../../errors/validate.js";
import { nodeOf } from "../../task/resolve.js";
import type { Worker } from "../../task/run.js";
import { enterScope } from "../../task/with-scope.js";
import { attempt } from "../lifetime/attempt.js";
import { readBackoff, delayBefore } from "./backoff.js";
import { sleep } from "./sleep.js";

/** The options of {@link retry}. */
export interface RetryOptions {
  /** How many times the worker is called at most; a whole number from 1, or `Infinity`. Default 3. */
  readonly attempts?: number | undefined;
  /** Milliseconds before the second attempt. Default 100. */
  readonly minDelay?: number | undefined;
  /** The longest delay in milliseconds. Default 30,000. */
  readonly maxDelay?: number | undefined;
  /** The factor by which the delay grows with each attempt; at least 1. Default 2. */
  readonly factor?: number | undefined;
  /** Whether each delay is random, from half of it to all of it, so that clients do not retry in step. Default `true`. */
  readonly jitter?: boolean | undefined;
  /** The time limit of one attempt in milliseconds. An attempt that exceeds it has failed. Default: no limit. */
  readonly attemptTimeout?: number | undefined;
  /** Decides whether to retry after `error`, the failure of attempt number `attempt`, which counts from 1. Default: always. */
  readonly retryIf?: ((error: unknown, attempt: number) => boolean) | undefined;
}

const retryOptionNames = optionNames<RetryOptions>({
  attempts: true,
  minDelay: true,
  maxDelay: true,
  factor: true,
  jitter: true,
  attemptTimeout: true,
  retryIf: true,
});

/**
 * Runs `worker` until an attempt succeeds, with growing delays between the attempts.
 *
 * Each attempt runs in its own scope. The next attempt begins only when everything in that scope has settled.
 *
 * **Failure:** when the attempts are used up, or `retryIf` returns false, the promise rejects with the failure of the last
 * attempt, the same object. Only the caller receives it. An attempt that exceeds `attemptTimeout` has failed with a
 * `DeadlineExceededError`. If `retryIf` throws, the promise rejects with that error, and the failure of the attempt is in
 * `suppressed(error)`.
 *
 * **Cancellation:** when `scope` is cancelled, the attempt or the delay ends, there is no further attempt, and the promise
 * rejects with the reason. If that happens during a delay, the last failure is in `suppressed(reason)`. A worker that
 * cancels its own scope also ends the attempts. If `scope` is already cancelled, the worker is not called.
 *
 * @param scope - The owner of the attempts.
 * @param worker - Called once per attempt.
 * @param options - How many attempts, and the delays between them in ms.
 * @returns The value of the attempt that succeeded.
 * @throws {ScopeClosedError} (as a rejection) If `scope` has ended.
 * @throws {TypeError | RangeError} (as a rejection) If an argument is bad. Nothing was started.
 * @example
 * ```ts
 * let calls = 0;
 * const value = await withScope((scope) =>
 *   retry(scope, async () => {
 *     if (++calls < 3) throw new Error("not yet");
 *     return "at last";
 *   }, { minDelay: 1 }),
 * );
 * console.log(value, calls); // at last 3
 * ```
 */
export function retry<T>(scope: Scope, worker: Worker<T>, options: RetryOptions = {}): Promise<T> {
  try {
    return begin(scope, worker, options, callSite(retry));
  } catch (error) {
    return failToBegin(error);
  }
}

function begin<T>(
  scope: Scope,
  worker: Worker<T>,
  options: RetryOptions,
  site: string | undefined,
): Promise<T> {
  const parent = nodeOf("retry", "scope", scope);
  requireFunction("retry", "worker", worker);
  checkOptionsObject("retry", options, retryOptionNames, "{ attempts: 5 }");
  const { attempts = 3, attemptTimeout, retryIf = alwaysRetry } = options;
  checkLimit("retry", "attempts", attempts, 1);
  checkDuration("retry", "attemptTimeout", attemptTimeout);
  requireFunction("retry", "retryIf", retryIf);
  const backoff = readBackoff("retry", options);
  const name = nameOf(worker);
  const body = async (own: Scope): Promise<T> => {
    for (let count = 1; ; count++) {
      const result = await attempt(own, { name, timeout: attemptTimeout }, worker, site);
      if (result.status === "succeeded") return result.value;
      if (result.status === "cancelled") throw result.reason;
      const { error } = result;
      const isLast = count >= attempts || isStackOverflow(error);
      if (isLast || !shouldRetry(own as ScopeNode, retryIf, error, count))
        throwFailure(own as ScopeNode, error);
      await sleep(own, delayBefore(count, backoff)).catch((reason: unknown) => {
        if (reason === own.reason) passOverForReason(own as ScopeNode, [error]);
        throw reason;
      });
    }
  };
  return enterScope("retry", parent, { name: "retry" }, body, site);
}

function alwaysRetry(): boolean {
  return true;
}

function shouldRetry(
  own: ScopeNode,
  retryIf: NonNullable<RetryOptions["retryIf"]>,
  error: unknown,
  count: number,
): boolean {
  try {
    return retryIf(error, count);
  } catch (thrown) {
    if (thrown === own.reason) {
      passOverForReason(own, [error]);
    } else {
      fail(own, thrown);
      fail(own, error);
    }
    throw thrown;
  }
}
