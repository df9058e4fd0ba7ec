// oxlint-disable vitest/no-conditional-expect -- in a property, what holds depends on what was generated
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { beBusy } from "../../../test/support/busy.js";
import {
  atEveryStep,
  endings,
  endScope,
  expectNothingLeft,
  stop,
  type Steps,
} from "../../../test/support/steps.js";
import { checkpoint, createScope, DeadlineExceededError, type Scope } from "../../index.js";

/** How long a computation takes between two checkpoints, in ms of the fake clock. */
const costs = fc.array(fc.constantFrom(0, 1, 1, 1, 2), { minLength: 4, maxLength: 20 });
const MOST = 2;

const SLICE = 5;

/** How many turns of the microtasks pass between the end of a checkpoint and its caller's next step. */
const LAG = 3;

/** Computes, and watches how long timers and I/O have to wait. */
class Computer {
  /** How long computations took since the last turn of the event loop. */
  spent = 0;
  mostSpent = 0;
  /** The computations that continued although they should not. */
  readonly surprises: string[] = [];
  cancelledAt = Infinity;
  readonly #steps: Steps;

  constructor(steps: Steps) {
    this.#steps = steps;
  }

  async compute(scope: Scope, list: readonly number[]): Promise<number> {
    for (const cost of list) {
      beBusy(cost);
      this.spent += cost;
      this.mostSpent = Math.max(this.mostSpent, this.spent);
      this.#steps.point();
      const over = scope.cancelled || Date.now() >= (scope.deadline ?? Infinity);
      await checkpoint(scope);
      if (over) this.surprises.push("went on in a cancelled scope");
      if (scope.cancelled && this.#steps.count > this.cancelledAt + LAG)
        this.surprises.push("went on after a cancellation while it waited");
    }
    return list.length;
  }
}

function expectEnd(end: PromiseSettledResult<number>, list: readonly number[], scope: Scope): void {
  if (end.status === "fulfilled") return expect(end.value).toBe(list.length);
  expect(end.reason).toBe(scope.reason);
  if (scope.reason?.cause !== stop) expect(end.reason).toBeInstanceOf(DeadlineExceededError);
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
});

afterEach(() => {
  vi.useRealTimers();
});

describe("checkpoint() at every step", () => {
  it("yields after a time slice that all tasks share, and ends every computation in a cancelled scope", () => {
    const plans = fc.tuple(
      fc.array(costs, { minLength: 1, maxLength: 5 }),
      fc.constantFrom(undefined, 8),
      endings,
    );
    return atEveryStep(20, plans, async (steps, [lists, timeout, ending]) => {
      beBusy(60_000); // the slice of the test before is over
      const scope = createScope({ onError: () => undefined, timeout });
      const other = createScope();
      const computer = new Computer(steps);
      let turns = setImmediate(function turn() {
        computer.spent = 0;
        turns = setImmediate(turn);
      });
      steps.interrupt = () => {
        endScope(scope, ending);
        computer.cancelledAt = steps.count;
      };
      const ended = await steps.play(
        Promise.allSettled(lists.map((list, index) => computer.compute(index === 1 ? other : scope, list))),
      );
      clearImmediate(turns);
      const ends = ended.status === "fulfilled" ? ended.value : [];
      for (const [index, list] of lists.entries())
        expectEnd(ends[index] as PromiseSettledResult<number>, list, index === 1 ? other : scope);
      expect(computer.surprises).toEqual([]);
      expect(computer.mostSpent).toBeLessThan(SLICE + lists.length * MOST);
      await expectNothingLeft(steps, scope, other);
    });
  });
});
