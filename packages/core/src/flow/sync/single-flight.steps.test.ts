// oxlint-disable vitest/no-conditional-expect -- in a property, what holds depends on what was generated
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  atEveryStep,
  endScope,
  expectNothingLeft,
  pause,
  stop,
  type Steps,
} from "../../../test/support/steps.js";
import {
  createScope,
  createSingleFlight,
  sleep,
  type Scope,
  type ScopeHandle,
  type SingleFlight,
} from "../../index.js";
import { useFakeTime } from "../../../test/support/fake-time.js";

interface Call {
  /** When it is made. */
  readonly at: number;
  readonly key: 1 | 2;
  /** When its scope is cancelled; `undefined` if it stays. */
  readonly leaves: number | undefined;
}

interface Plan {
  readonly calls: readonly Call[];
  readonly waits: readonly number[];
  readonly end: "returns" | "fails" | "cancels itself";
  /** The reaction of a worker to its cancellation. */
  readonly cut: "lets it through" | "returns" | "fails";
  readonly cleanup: number;
  readonly cleanupFails: boolean;
  readonly concurrency: number;
  /** The interruption: the end of the owner, or the cancellation of a caller. */
  readonly interruption: "is cancelled" | "is closed" | "fails" | 0 | 1;
}

const call = fc.record<Call>({
  at: fc.constantFrom(0, 0, 2, 4),
  key: fc.constantFrom(1, 1, 2),
  leaves: fc.constantFrom(undefined, undefined, 0, 3),
});

const plans = fc.record<Plan>({
  calls: fc.array(call, { minLength: 1, maxLength: 4 }),
  waits: fc.constantFrom([], [0], [3], [1, 4]),
  end: fc.constantFrom("returns", "returns", "fails", "cancels itself"),
  cut: fc.constantFrom("lets it through", "lets it through", "returns", "fails"),
  cleanup: fc.constantFrom(0, 0, 2),
  cleanupFails: fc.constantFrom(false, false, true),
  concurrency: fc.constantFrom(Infinity, Infinity, 1),
  interruption: fc.constantFrom<Plan["interruption"][]>("is cancelled", "is closed", "fails", 0, 1),
});

/** A run of the worker. */
interface Run {
  readonly value: string;
  readonly own: Scope;
  readonly failures: unknown[];
  ended: boolean;
}

/** Plays a plan, and watches. */
class Stage {
  readonly runs: Run[] = [];
  readonly callers: ScopeHandle[];
  readonly #steps: Steps;
  readonly #plan: Plan;
  readonly #flights: SingleFlight<number, string>;

  constructor(steps: Steps, plan: Plan, owner: Scope) {
    this.#steps = steps;
    this.#plan = plan;
    this.#flights = createSingleFlight(owner);
    this.callers = plan.calls.map((_, index) => createScope({ name: `caller ${index}` }));
  }

  async play(index: number): Promise<PromiseSettledResult<string>> {
    const { at, key, leaves } = this.#plan.calls[index] as Call;
    const scope = this.callers[index] as ScopeHandle;
    if (at > 0) await pause(at);
    this.#steps.point();
    const result = this.#flights.do(scope, key, (own) => this.#worker(own, key));
    if (leaves !== undefined) void pause(leaves).then(() => scope.cancel(stop));
    return (await Promise.allSettled([result]))[0];
  }

  async #worker(own: Scope, key: number): Promise<string> {
    const run: Run = { value: `${key}/${this.runs.length}`, own, failures: [], ended: false };
    const running = this.runs.filter(
      (each) => !each.ended && !each.own.cancelled && each.value.startsWith(`${key}/`),
    );
    if (running.length > 0) throw new Error("a run that goes on must be joined");
    this.runs.push(run);
    own.defer(() => this.#cleanUp(run));
    this.#steps.point();
    try {
      for (const ms of this.#plan.waits) await sleep(own, ms);
    } catch (error) {
      if (this.#plan.cut === "returns") return run.value;
      if (this.#plan.cut === "fails") this.#fail(run, "cut");
      throw error;
    }
    if (this.#plan.end === "fails") this.#fail(run, "end");
    if (this.#plan.end === "cancels itself") {
      own.cancel("itself");
      own.throwIfCancelled();
    }
    return run.value;
  }

  async #cleanUp(run: Run): Promise<void> {
    if (this.#plan.cleanup > 0) await pause(this.#plan.cleanup);
    run.ended = true;
    if (this.#plan.cleanupFails) this.#fail(run, "cleanup");
  }

  #fail(run: Run, message: string): never {
    const error = new Error(`${run.value}: ${message}`);
    run.failures.push(error);
    throw error;
  }
}

useFakeTime();

describe("createSingleFlight() at every step", () => {
  it("gives each caller the outcome of its run, or its own reason, and every failure has a receiver", async () => {
    await atEveryStep(40, plans, async (steps, plan) => {
      const received: unknown[] = [];
      const owner = createScope({
        name: "owner",
        supervise: true,
        concurrency: plan.concurrency,
        onError: (error) => received.push(error),
      });
      const stage = new Stage(steps, plan, owner);
      const { interruption } = plan;
      steps.interrupt = () => {
        if (typeof interruption === "number") stage.callers[interruption]?.cancel(stop);
        else endScope(owner, interruption);
      };
      const played = plan.calls.map((_, index) => stage.play(index));
      const outcome = await steps.play(Promise.all(played));
      const outcomes = (outcome as PromiseFulfilledResult<PromiseSettledResult<string>[]>).value;
      for (const [index, each] of outcomes.entries()) {
        if (each.status === "fulfilled") {
          expect(each.value.startsWith(`${plan.calls[index]?.key}/`)).toBe(true);
          continue;
        }
        const reasons = [
          stage.callers[index]?.reason,
          owner.reason,
          ...stage.runs.flatMap(({ own, failures }) => [
            own.reason?.kind === "explicit" ? own.reason : undefined,
            failures[0],
          ]),
        ];
        const isClosed = (each.reason as Error).name === "ScopeClosedError" && owner.state === "closed";
        if (!isClosed) expect(reasons.includes(each.reason as undefined)).toBe(true);
      }
      await steps.play(pause(20)); // of those who would have left later
      for (const caller of stage.callers) await expectNothingLeft(steps, caller);
      await expectNothingLeft(steps, owner);
      // The first failure of each run has reached a caller, or the receiver of the owner.
      const toCallers = outcomes.map((each) =>
        each.status === "rejected" ? (each.reason as unknown) : undefined,
      );
      for (const { failures, ended } of stage.runs) {
        expect(ended).toBe(true);
        for (const error of failures.slice(0, 1)) {
          const toOwner = received.includes(error) || owner.errors.includes(error);
          expect(toCallers.includes(error) !== toOwner).toBe(true);
        }
      }
    });
  });
});
