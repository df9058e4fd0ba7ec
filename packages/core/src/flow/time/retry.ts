import { isStackOverflow } from "../../kernel/stack-headroom.js";
import { isCancellation } from "../../kernel/is-cancellation.js";
import { nameOf } from "../../kernel/name.js";
import { rejectBeforeStart } from "../../kernel/throttled-results.js";
import type { ScopeNode } from "../../kernel/node.js";
import type { Scope } from "../../kernel/scope.js";
import { suppressUnderReason } from "../../kernel/suppressed-failures.js";
import { fail, throwFailure } from "../../kernel/lifecycle.js";
import { callSite } from "../../kernel/call-site.js";
import { optionNames } from "../../errors/option-names.js";
import { isThenable } from "../../errors/user-values.js";
import { checkDuration, checkLimit, checkType, requireFunction, wrongType } from "../../errors/validate.js";
import { nodeOf } from "../../task/node-of.js";
import type { Worker } from "../../task/worker.js";
import { enterScope } from "../../task/with-scope.js";
import { attempt } from "../lifetime/attempt.js";
import {
  checkCombinatorOptions,
  combinatorNames,
  type CombinatorOptions,
} from "../combinators/combinator-options.js";
import { readBackoff, delayBefore, type Backoff } from "./backoff.js";
import { millisecondsOf, type RetryDelay } from "./retry-delay.js";
import { sleep } from "./sleep.js";

/** The options of {@link retry}. */
export interface RetryOptions extends CombinatorOptions {
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
  /**
   * The delay after `error`, the failure of attempt number `attempt`. Returns when to try again:
   *
   * - a number of milliseconds;
   * - a `Date`: the instant of the next attempt;
   * - a string: the value of a `Retry-After` header, which is a number of seconds or an HTTP date;
   * - `undefined`, `null` or a string that is neither: the growing delay.
   *
   * The options `maxDelay` and `jitter` do not apply to this delay, but `timeout` does. Default: the growing delay.
   */
  readonly delay?: ((error: unknown, attempt: number) => RetryDelay) | undefined;
  /**
   * Called before each delay with the failure of attempt number `attempt`, and the delay in milliseconds. A promise that it
   * returns is awaited before the delay. Default: none.
   */
  readonly onRetry?: ((error: unknown, attempt: number, delay: number) => unknown) | undefined;
}

const retryOptionNames = /* @__PURE__ */ optionNames<RetryOptions>({
  ...combinatorNames,
  attempts: true,
  minDelay: true,
  maxDelay: true,
  factor: true,
  jitter: true,
  attemptTimeout: true,
  retryIf: true,
  delay: true,
  onRetry: true,
});

/**
 * Runs `worker` until an attempt succeeds, with growing delays between the attempts.
 *
 * Each attempt runs in its own scope. The next attempt begins only when everything in that scope has settled.
 *
 * **Failure:** when the attempts are used up, or `retryIf` returns false, the promise rejects with the failure of the last
 * attempt, the same object. Only the caller receives it. An attempt that exceeds `attemptTimeout` has failed with a
 * `DeadlineExceededError`. If `retryIf`, `delay` or `onRetry` throws, the promise rejects with that error, and the failure of
 * the attempt is in `suppressed(error)`.
 *
 * **Cancellation:** when `scope` is cancelled, or `timeout` has passed, the attempt or the delay ends, there is no further
 * attempt, and the promise rejects with the reason. The last failure before that is in `suppressed(reason)`. A worker that
 * cancels its own scope also ends the attempts. If `scope` is already cancelled, the worker is not called.
 *
 * @param scope - The owner of the attempts.
 * @param worker - Called once per attempt.
 * @param options - How many attempts, and the delays between them in ms; `name`, and `timeout` in ms for all of them.
 * @returns The value of the attempt that succeeded.
 * @throws {DeadlineExceededError} (as a rejection) If `timeout` has passed.
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
 * @example A server that says when to come back
 * ```ts
 * class HttpError extends Error {
 *   readonly response: Response;
 *   constructor(response: Response) {
 *     super(`HTTP ${response.status}`);
 *     this.response = response;
 *   }
 * }
 * const busy = new Response(null, { status: 503, headers: { "retry-after": "0" } });
 * let calls = 0;
 * const value = await withScope((scope) =>
 *   retry(scope, async () => {
 *     if (++calls === 1) throw new HttpError(busy);
 *     return "served";
 *   }, {
 *     delay: (error) => (error instanceof HttpError ? error.response.headers.get("retry-after") : undefined),
 *     onRetry: (error, attempt, delay) => console.log(String(error), attempt, delay), // Error: HTTP 503 1 0
 *   }),
 * );
 * console.log(value); // served
 * ```
 */
export function retry<T>(scope: Scope, worker: Worker<T>, options: RetryOptions = {}): Promise<T> {
  try {
    return begin(scope, worker, options, callSite(retry));
  } catch (error) {
    return rejectBeforeStart(error);
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
  checkCombinatorOptions("retry", options, retryOptionNames, "{ attempts: 5 }");
  const { attempts = 3, attemptTimeout, retryIf, delay, onRetry, timeout } = options;
  checkLimit("retry", "attempts", attempts, 1);
  checkDuration("retry", "attemptTimeout", attemptTimeout);
  checkType("retry", "retryIf", "function", retryIf);
  checkType("retry", "delay", "function", delay);
  checkType("retry", "onRetry", "function", onRetry);
  const settings = {
    attempts,
    attemptTimeout,
    retryIf,
    delay,
    onRetry,
    backoff: readBackoff("retry", options),
  };
  const body = (own: Scope): Promise<T> => repeat(own as ScopeNode, worker, settings, site);
  return enterScope("retry", parent, { name: options.name ?? "retry", timeout }, body, site);
}

interface Settings extends Pick<RetryOptions, "attemptTimeout" | "retryIf" | "delay" | "onRetry"> {
  readonly attempts: number;
  readonly backoff: Backoff;
}

async function repeat<T>(
  own: ScopeNode,
  worker: Worker<T>,
  settings: Settings,
  site: string | undefined,
): Promise<T> {
  const attemptOptions = { name: nameOf(worker), timeout: settings.attemptTimeout };
  /** The failure before this attempt, in an array. */
  let ignored: unknown[] = [];
  for (let count = 1; ; count++) {
    try {
      const result = await attempt(own, attemptOptions, worker, site);
      if (result.status === "succeeded") return result.value;
      if (result.status === "cancelled") throw result.reason;
      const { error } = result;
      if (count >= settings.attempts || isStackOverflow(error)) throwFailure(own, error);
      ignored = [error];
      const ms = await prepareRetry(own, settings, error, count);
      await sleep(own, ms);
    } catch (reason) {
      if (reason === own.reason) suppressUnderReason(own, ignored);
      throw reason;
    }
  }
}

/** Asks the callbacks of the user about the next attempt. Returns the delay before it in ms. */
async function prepareRetry(
  own: ScopeNode,
  settings: Settings,
  error: unknown,
  count: number,
): Promise<number> {
  const { retryIf, delay, onRetry, backoff } = settings;
  if (own.cancelled) throw own.reason;
  try {
    if (retryIf === undefined || shouldRetry(retryIf, error, count)) {
      const ms = millisecondsOf(delay?.(error, count)) ?? delayBefore(count, backoff);
      const returned = onRetry?.(error, count, ms);
      if (isThenable(returned)) await returned;
      return ms;
    }
  } catch (thrown) {
    const broken: unknown[] = [];
    if (own.cancelled && isCancellation(own, thrown, broken)) throw own.reason;
    for (const each of [thrown, ...broken, error]) fail(own, each);
    throw thrown;
  }
  return throwFailure(own, error);
}

function shouldRetry(retryIf: NonNullable<RetryOptions["retryIf"]>, error: unknown, count: number): boolean {
  const answer: unknown = retryIf(error, count);
  if (typeof answer === "boolean") return answer;
  throw wrongType("retry", "retryIf must return a boolean", answer);
}
