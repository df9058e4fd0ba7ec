import fc from "fast-check";
import type { Scope, Worker } from "../../src/index.js";

/** The behaviour of a worker of a property test, at moments that a scheduler chooses. */
export interface Plan {
  /** How many times it waits before it is done; 0 settles synchronously. */
  readonly steps: number;
  readonly fails: boolean;
  /** How many times it waits once it was cancelled. */
  readonly cleanup: number;
  readonly cleanupFails: boolean;
}

export const plans: fc.Arbitrary<Plan[]> = fc.array(
  fc.record({
    steps: fc.integer({ min: 0, max: 3 }),
    fails: fc.boolean(),
    cleanup: fc.integer({ min: 0, max: 2 }),
    cleanupFails: fc.boolean(),
  }),
  { minLength: 1, maxLength: 5 },
);

/** Plans of which none fails and no cleanup does. */
export const goodPlans: fc.Arbitrary<Plan[]> = plans.map((list) =>
  list.map((plan) => ({ ...plan, fails: false, cleanupFails: false })),
);

/** Runs plans, and watches. */
export class Theatre {
  /** Those that have been called, in order. */
  readonly started: number[] = [];
  /** Those that are through, cleanup included, in order. */
  readonly ended: number[] = [];
  readonly failures: unknown[] = [];
  running = 0;
  mostRunning = 0;
  readonly #schedule: fc.Scheduler;

  constructor(schedule: fc.Scheduler) {
    this.#schedule = schedule;
  }

  /** The value of worker `id` is `id`, its failure and that of its cleanup are objects of their own. */
  worker(plan: Plan, id: number): Worker<number> {
    return (scope) => {
      this.started.push(id);
      this.running += 1;
      this.mostRunning = Math.max(this.mostRunning, this.running);
      if (plan.steps > 0) return this.#play(plan, id, scope);
      this.#end(id);
      if (plan.fails) throw this.#failure(`worker ${id}`);
      return id;
    };
  }

  async #play(plan: Plan, id: number, scope: Scope): Promise<number> {
    try {
      for (let step = 0; step < plan.steps; step++) await this.step(scope, `step of ${id}`);
      if (plan.fails) throw this.#failure(`worker ${id}`);
      return id;
    } catch (error) {
      if (scope.cancelled) {
        for (let step = 0; step < plan.cleanup; step++)
          await this.#schedule.schedule(tick(), `cleanup of ${id}`);
        if (plan.cleanupFails) throw this.#failure(`cleanup ${id}`);
      }
      throw error;
    } finally {
      this.#end(id);
    }
  }

  /** Waits for the scheduler, and for the cancellation of `scope`. */
  step(scope: Scope, label: string): Promise<void> {
    return new Promise((resolve, reject) => {
      scope.onCancel(reject);
      void this.#schedule.schedule(tick(), label).then(() => resolve());
    });
  }

  #failure(label: string): Error {
    const error = new Error(label);
    this.failures.push(error);
    return error;
  }

  #end(id: number): void {
    this.running -= 1;
    this.ended.push(id);
  }
}

/** Does `action` at a moment that the scheduler chooses. */
export function sometime(schedule: fc.Scheduler, label: string, action: () => void): void {
  void schedule.schedule(tick(), label).then(action);
}

/** The outcome of `promise`, with the scheduler running until then. */
export async function settle<T>(
  schedule: fc.Scheduler,
  promise: Promise<T>,
): Promise<PromiseSettledResult<T>> {
  const [result] = await schedule.waitFor(Promise.allSettled([promise]));
  return result;
}

function tick(): Promise<void> {
  return Promise.resolve();
}
