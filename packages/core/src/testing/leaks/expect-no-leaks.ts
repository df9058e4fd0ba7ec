import { requireFunction } from "../../errors/validate.js";
import { verify } from "./find-leaks.js";
import { checkLeakOptions, type LeakOptions } from "./options.js";
import { TestRun, runAs } from "./test-run.js";
import { recordOrigins } from "./recorder.js";

/**
 * Runs `body`, and then verifies that it has left nothing behind: no scope or task, and no timer, socket, server, child
 * process or thread.
 *
 * An object belongs to `body` if it was made in its async context. So bodies that run at the same time, such as those of
 * parallel tests, don't see each other's objects, and objects that existed before do not count.
 *
 * **Failure:** if `body` fails, its error is passed on and nothing is verified: the leaks of a failed test follow from its
 * failure.
 *
 * @param body - The body of a test, for example.
 * @param options - What to ignore, and for how many ms to wait, from the end of `body`.
 * @returns What `body` returned.
 * @throws {LeakError} If something is left (as a rejection).
 * @throws {TypeError | RangeError} If an argument is bad (as a rejection). `body` was not called.
 * @example
 * ```ts
 * await expectNoLeaks(async () => {
 *   await using server = createScope({ name: "server" });
 *   spawn(server, (task) => sleep(task, 60_000));
 * });
 * ```
 */
export async function expectNoLeaks<T>(body: () => T | PromiseLike<T>, options?: LeakOptions): Promise<T> {
  requireFunction("expectNoLeaks", "body", body);
  checkLeakOptions("expectNoLeaks", options);
  const testRun = new TestRun(false);
  const stop = recordOrigins();
  try {
    const value = await runAs(testRun, async () => body());
    await verify(options ?? {}, testRun);
    return value;
  } finally {
    stop();
  }
}
