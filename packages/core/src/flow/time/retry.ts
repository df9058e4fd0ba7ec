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
import { backoffOf, delayBefore } from "./backoff.js";
import { sleep } from "./sleep.js";

/** What {@link retry} takes. */
export interface RetryOptions {
  /** How often the worker is called at most; a whole number from 1, or `Infinity`. Default 3. */
  readonly attempts?: number | undefined;
  /** Milliseconds before the second attempt. Default 100. */
  readonly minDelay?: number | undefined;
  /** Milliseconds that no delay exceeds. Default 30,000. */
  readonly maxDelay?: number | undefined;
  /** By what the delay grows from attempt to attempt; at least 1. Default 2. */
  readonly factor?: number | undefined;
  /** Makes each delay a random one between half of it and all of it, so that clients don't return in step. Default `true`. */
  readonly jitter?: boolean | undefined;
  /** Milliseconds that one attempt may take; running out of them is a failure of the attempt. Default: no limit. */
  readonly attemptTimeout?: number | undefined;
  /** Whether to try again after `error`, the failure of attempt number `attempt`, the first being 1. */
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
 * Each attempt has a scope of its own, and the next begins only when everything in it has settled.
 *
 * **Failure:** when the attempts are used up, or `retryIf` says no, the promise rejects with the last attempt's
 * failure, the same object. It goes to the caller alone. An attempt that runs out of `attemptTimeout` has failed with a
 * `DeadlineExceededError`. What `retryIf` throws ends the retrying, too, with the attempt's failure in
 * `suppressed(error)`.
 *
 * **Cancellation:** when `scope` is cancelled, the attempt or the delay ends, nothing more is tried, and the promise
 * rejects with the reason; if that was during a delay, the last failure is in `suppressed(reason)`. A worker that
 * cancels its own scope ends the retrying as well. In a scope that is cancelled already the worker is not called.
 *
 * @param scope - The owner.
 * @param worker - Called once per attempt.
 * @param options - How often, and how long to wait between; times in ms.
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
  const { attempts = 3, attemptTimeout, retryIf = always } = options;
  checkLimit("retry", "attempts", attempts, 1);
  checkDuration("retry", "attemptTimeout", attemptTimeout);
  requireFunction("retry", "retryIf", retryIf);
  const backoff = backoffOf("retry", options);
  const name = nameOf(worker);
  const body = async (own: Scope): Promise<T> => {
    for (let count = 1; ; count++) {
      const result = await attempt(own, { name, timeout: attemptTimeout }, worker, site);
      if (result.status === "succeeded") return result.value;
      if (result.status === "cancelled") throw result.reason;
      const { error } = result;
      const isLast = count >= attempts || isStackOverflow(error);
      if (isLast || !asks(own as ScopeNode, retryIf, error, count)) throwFailure(own as ScopeNode, error);
      await sleep(own, delayBefore(count, backoff)).catch((reason: unknown) => {
        if (reason === own.reason) passOverForReason(own as ScopeNode, [error]);
        throw reason;
      });
    }
  };
  return enterScope("retry", parent, { name: "retry" }, body, site);
}

function always(): boolean {
  return true;
}

function asks(
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
