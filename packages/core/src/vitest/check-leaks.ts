import { aroundAll, aroundEach } from "vitest";
import type { LeakOptions } from "../testing/index.js";
import { currentLeaks, verify } from "../testing/leaks/find-leaks.js";
import { checkLeakOptions, DEFAULT_TIMEOUT, filtersOf } from "../testing/leaks/options.js";
import { TestRun, runAs } from "../testing/leaks/test-run.js";
import { recordOrigins } from "../testing/leaks/recorder.js";

/** Milliseconds that a hook gets beyond the time-out of the check, so that the check reports and not the hook. */
const HOOK_MARGIN = 5_000;

/**
 * Checks every test for leaks, in the file or the `describe` in which it is called. After the last test it also
 * checks the work that `beforeAll` and the file itself have started.
 *
 * A test fails with a `LeakError` when something that was started in it, or in its `beforeEach`, is still there after
 * its `afterEach`. Leaks are scopes, tasks, timers, sockets, servers, child processes and threads. Tests that run at the
 * same time don't see each other's. A test that has failed anyway is not checked.
 *
 * @param options - What to ignore, and for how many ms to wait, from the end of each test.
 * @throws {TypeError | RangeError} If an option is bad.
 * @example
 * ```ts no-run
 * import { describe, it } from "vitest";
 * import { checkLeaks } from "bough/vitest";
 *
 * describe("the server", () => {
 *   checkLeaks({ ignore: "metrics" });
 *   it("stops", async () => {});
 * });
 * ```
 */
export function checkLeaks(options: LeakOptions = {}): void {
  checkLeakOptions("checkLeaks", options);
  recordOrigins(); // for the rest of the file: a stack that was not recorded can't be recovered later
  const ignore = [...filtersOf(options), currentLeaks()];
  const timeout = (options.timeout ?? DEFAULT_TIMEOUT) + HOOK_MARGIN;

  aroundEach(async (runTest, { task }) => {
    const owner = new TestRun(false);
    await runAs(owner, runTest);
    if (task.result?.state !== "fail") await verify(options, owner);
  }, timeout);

  // oxlint-disable-next-line no-empty-pattern -- vitest reads the parameters: the second must be a pattern
  aroundAll(async (runSuite, {}, suite) => {
    // Only at the end of the file is it certain that the work started by its modules is no longer needed.
    const owner = new TestRun(suite === suite.file);
    await runAs(owner, runSuite);
    await verify({ ...options, ignore }, owner);
  }, timeout);
}
