// oxlint-disable vitest/no-conditional-expect -- in a property, what holds depends on what was generated
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  allOf,
  atEveryStep,
  endings,
  endScope,
  expectNothingLeft,
  pause,
  type Ending,
  type Steps,
} from "../../../test/support/steps.js";
import { createScope, moveOnAfter, sleep, spawn, type Scope } from "../../index.js";
import { useFakeTime } from "../../../test/support/fake-time.js";

interface Plan {
  readonly timeout: number;
  readonly waits: readonly number[];
  readonly end: "returns" | "fails" | "hangs";
  /** The reaction of the worker to its cancellation. */
  readonly cut: "lets it through" | "returns" | "fails";
  readonly child: "none" | "waits" | "fails";
  readonly cleanup: number;
  readonly cleanupFails: boolean;
  readonly ending: Ending;
}

const plans = fc.record<Plan>({
  timeout: fc.constantFrom(0, 3, 3, 8, Infinity),
  waits: fc.constantFrom([], [0], [3], [2, 6]),
  end: fc.constantFrom("returns", "returns", "fails", "hangs"),
  cut: fc.constantFrom("lets it through", "lets it through", "returns", "fails"),
  child: fc.constantFrom("none", "none", "waits", "fails"),
  cleanup: fc.constantFrom(0, 0, 2),
  cleanupFails: fc.boolean(),
  ending: endings,
});

/** Plays a plan, and watches. */
class Stage {
  alive = 0;
  own: Scope | undefined;
  /** Whether the worker or its child was kept from finishing. */
  wasCut = false;
  readonly failures: unknown[] = [];
  readonly #steps: Steps;
  readonly #plan: Plan;

  constructor(steps: Steps, plan: Plan) {
    this.#steps = steps;
    this.#plan = plan;
  }

  readonly worker = async (own: Scope): Promise<string> => {
    this.own = own;
    this.alive += 1;
    own.defer(() => this.#cleanUp());
    this.#steps.point();
    if (this.#plan.child !== "none") {
      if (own.cancelled) this.wasCut = true; // the child starts cancelled
      spawn(own, (child) => this.#child(child));
    }
    try {
      for (const ms of this.#plan.waits) await sleep(own, ms);
      if (this.#plan.end === "hangs") await sleep(own, Infinity);
    } catch (error) {
      if (this.#plan.cut === "returns") return "late";
      if (this.#plan.cut === "fails") this.#fail("cut");
      this.wasCut = true;
      throw error;
    }
    if (this.#plan.end === "fails") this.#fail("end");
    return "value";
  };

  async #child(child: Scope): Promise<void> {
    this.alive += 1;
    try {
      await sleep(child, 5);
    } catch (error) {
      this.wasCut = true;
      throw error;
    } finally {
      this.alive -= 1;
    }
    if (this.#plan.child === "fails") this.#fail("child");
  }

  async #cleanUp(): Promise<void> {
    this.#steps.point();
    if (this.#plan.cleanup > 0) await pause(this.#plan.cleanup);
    this.alive -= 1;
    if (this.#plan.cleanupFails) this.#fail("cleanup");
  }

  #fail(message: string): never {
    const error = new Error(message);
    this.failures.push(error);
    throw error;
  }
}

useFakeTime();

describe("moveOnAfter() at every step", () => {
  it("moves on only when its own timeout has passed, waits for everything in it, and loses no failure", async () => {
    await atEveryStep(80, plans, async (steps, plan) => {
      const scope = createScope({ name: "root", onError: () => undefined }); // the interruption may be a failure
      steps.interrupt = () => endScope(scope, plan.ending);
      const stage = new Stage(steps, plan);
      const outcome = await steps.play(moveOnAfter(scope, { timeout: plan.timeout }, stage.worker));
      expect(stage.alive).toBe(0);
      const { own, wasCut, failures } = stage;
      if (failures.length > 0) {
        expect(outcome.status).toBe("rejected");
        const told = allOf((outcome as PromiseRejectedResult).reason);
        expect(new Set(told)).toEqual(new Set(failures));
      } else if (own !== undefined && !wasCut) {
        expect(["value", "late"]).toContain((outcome as PromiseFulfilledResult<unknown>).value);
      } else if (own === undefined || own.reason?.scope !== "root") {
        expect(own === undefined ? 0 : own.reason?.kind).toBe(own === undefined ? plan.timeout : "deadline");
        expect(outcome).toEqual({ status: "fulfilled", value: undefined });
      } else {
        expect(outcome).toEqual({ status: "rejected", reason: scope.reason });
      }
      await expectNothingLeft(steps, scope);
    });
  });
});
