import { AsyncLocalStorage } from "node:async_hooks";

/** One call of `withVirtualClock`, from the installation of its clock to its removal. */
export class ClockRun {
  readonly #signal: AbortSignal | undefined;
  readonly #isTestOver: () => boolean = testWatch();
  #end!: () => void;
  /** Resolves when the real timers are back. */
  readonly removed: Promise<void> = new Promise((resolve) => (this.#end = resolve));

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  end(): void {
    this.#end();
  }

  /** Whether its test has ended, so that other tests may be running. */
  isOver(): boolean {
    return this.#signal?.aborted === true || this.#isTestOver();
  }
}

/** Says in whose body one is. */
export const clockContext: AsyncLocalStorage<ClockRun> = new AsyncLocalStorage();

interface VitestTask {
  readonly type?: string;
  readonly result?: { readonly state?: string };
}

/**
 * Returns a function that says whether the current test has ended. vitest has the test in a global, and sets its result
 * when the test times out. For other runners, only the signal of the test is known.
 */
function testWatch(): () => boolean {
  const worker = (globalThis as { __vitest_worker__?: { readonly current?: VitestTask } }).__vitest_worker__;
  const task = worker?.current;
  if (task?.type !== "test" || task.result?.state !== "run") return () => false;
  return () => task.result?.state !== "run";
}
