import { BoughError } from "../errors/bough-error.js";
import { callSite } from "../kernel/call-site.js";
import { backgroundNode } from "../kernel/scope-view.js";
import type { Scope } from "../kernel/scope.js";
import { enterScope } from "../task/with-scope.js";
import type { MainScope } from "./main-scope.js";
import { readOptions, type MainOptions } from "./options.js";
import { Run } from "./run.js";

/** The current or last call: a process has one exit code, so only one `main` may run. */
let current: Run | undefined;

/**
 * Runs `body` in the root scope of a process. When the scope has ended, the process ends.
 *
 * SIGINT, SIGTERM and SIGHUP cancel the scope with kind `"shutdown"` and the signal's name as cause. So does a reader
 * that closes stdout (`tool | head`), as `"SIGPIPE"`. While the scope is open, it keeps the process alive, so that a
 * body may wait for nothing but a signal: `sleep(scope, Infinity)`.
 *
 * | how it ended                  | exit code                                         | on stderr                           |
 * | ----------------------------- | ------------------------------------------------- | ----------------------------------- |
 * | the body returned             | as it was: 0, or what the program has set         |                                     |
 * | a failure, of a cleanup, too  | 1                                                 | the error and the suppressed ones   |
 * | a signal                      | 128 + its number, unless the program has set one  |                                     |
 * | by force                      | that of the signal, or 1                          | the stuck tasks                     |
 *
 * **Servers:** before the cancellation, for any cause, the servers of the process that have a scope (`serverScope`,
 * `expressBough`, `fastifyBough`) begin to shut down. They stop listening, and requests have their grace period. The scope
 * waits for that before its cleanups run. `scope.onShutdown(callback)`, `scope.draining` and `scope.drainSignal` announce
 * the beginning.
 *
 * **Cancellation:** a second signal forces the exit, and so does the end of `grace`, counted from the cancellation. A
 * signal that arrives within 250 ms of the one before counts as the same signal, for up to a second in all. Watchers and
 * process groups deliver a Ctrl-C twice. The end of `grace` also ends a process that has failed or was asked to
 * stop, and that is kept alive from outside of the scope. Only a forced exit calls `process.exit`, which may lose
 * output to a pipe.
 *
 * **Failure:** a failure is printed once, and does not reject the returned promise. A cancellation without a signal is
 * a failure if it cut work short. Uncaught exceptions and unhandled rejections are left to Node, except that a
 * cancellation that nothing awaits does not end a process whose scope is cancelled: its cleanups run.
 *
 * @param body - Gets the root scope. Its result is awaited and not used: set `process.exitCode` for a code.
 * @param options - `grace` in ms.
 * @returns Resolves when all is cleaned up and the exit code is set, also after a failure.
 * @throws {BoughError} (as a rejection) If another `main` has not ended: use `withScope(scope, …)` inside.
 * @throws {TypeError | RangeError} (as a rejection) If an argument is bad. Nothing was started.
 * @example
 * ```ts
 * await main(async (scope) => {
 *   scope.defer(() => console.log("temporary files removed")); // after Ctrl-C, too
 *   await spawn(scope, async () => console.log("working"));
 * });
 * ```
 */
export async function main(body: (scope: MainScope) => unknown, options?: MainOptions): Promise<void> {
  const site = callSite(main);
  const settings = readOptions(body, options);
  if (current !== undefined && !current.ended) {
    const message = `main: another main, ${JSON.stringify(current.name)}, runs in this process; use withScope inside it`;
    throw new BoughError("BOUGH_NESTED_MAIN", message);
  }
  current?.forget();
  const run = (current = new Run(settings));
  const { name, onError, isCancellation } = settings;
  const enter = (scope: Scope): unknown => {
    const result = body(run.open(scope));
    run.watchBody(result);
    return result;
  };
  try {
    await enterScope("withScope", backgroundNode, { name, onError, isCancellation }, enter, site);
    run.succeed();
  } catch (error) {
    run.fail(error);
  } finally {
    run.end();
  }
}
