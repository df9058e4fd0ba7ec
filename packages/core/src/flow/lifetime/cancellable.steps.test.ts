// oxlint-disable vitest/no-conditional-expect -- in a property, what holds depends on what was generated
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { deferred } from "../../../test/support/deferred.js";
import {
  atEveryStep,
  endings,
  endScope,
  expectNothingLeft,
  pause,
  type Ending,
  type Steps,
} from "../../../test/support/steps.js";
import { cancellable, createScope, type CancelledError } from "../../index.js";
import { useFakeTime } from "../../../test/support/fake-time.js";

interface Plan {
  /** When the operation ends by itself. */
  readonly duration: number;
  readonly end: "a value" | "an error";
  /** The reaction of the operation to `stop`. */
  readonly stopped: "rejects" | "rejects later" | "gives its value" | "goes on";
  /** The outcome of `stop` itself. */
  readonly stop: "returns" | "throws" | "takes time" | "takes time and fails";
  readonly timeout: number;
  readonly ending: Ending;
}

const plans = fc.record<Plan>({
  duration: fc.constantFrom(0, 4, 10),
  end: fc.constantFrom("a value", "an error"),
  stopped: fc.constantFrom("rejects", "rejects later", "gives its value", "goes on"),
  stop: fc.constantFrom("returns", "returns", "throws", "takes time", "takes time and fails"),
  timeout: fc.constantFrom(4, Infinity, Infinity),
  ending: endings,
});

const failed = new Error("failed by itself");
const terminated = new Error("terminated");
const stopFailed = new Error("stop has failed");

/** Plays a plan, and watches. */
class Stage {
  /** `"value"` or the error with which the operation has ended. */
  ended: unknown;
  hasEnded = false;
  stopHasEnded = true;
  readonly reasons: CancelledError[] = [];
  readonly #operation = deferred<string>();
  readonly #steps: Steps;
  readonly #plan: Plan;

  constructor(steps: Steps, plan: Plan) {
    this.#steps = steps;
    this.#plan = plan;
  }

  readonly start = (): Promise<string> => {
    this.#steps.point();
    void this.#run();
    return this.#operation.promise;
  };

  async #run(): Promise<void> {
    if (this.#plan.duration > 0) await pause(this.#plan.duration);
    this.#end(this.#plan.end === "a value" ? "value" : failed);
  }

  #end(outcome: unknown): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.ended = outcome;
    if (outcome === "value") this.#operation.resolve("value");
    else this.#operation.reject(outcome);
    this.#steps.point(); // it has ended, and nobody has seen that
  }

  readonly stop = (_: unknown, reason: CancelledError): unknown => {
    this.reasons.push(reason);
    const { stopped, stop } = this.#plan;
    if (stopped === "rejects") this.#end(terminated);
    if (stopped === "gives its value") this.#end("value");
    if (stopped === "rejects later") void pause(1).then(() => this.#end(terminated));
    if (stop === "throws") throw stopFailed;
    return stop === "returns" ? undefined : this.#takeTime(stop === "takes time and fails");
  };

  async #takeTime(fails: boolean): Promise<void> {
    this.stopHasEnded = false;
    await pause(2);
    this.stopHasEnded = true;
    if (fails) throw stopFailed;
  }

  get expected(): PromiseSettledResult<string> {
    const [reason] = this.reasons;
    const stopFails = reason !== undefined && /throws|fails/.test(this.#plan.stop);
    if (stopFails) return { status: "rejected", reason: stopFailed };
    if (this.ended === "value") return { status: "fulfilled", value: "value" };
    return { status: "rejected", reason: reason ?? this.ended };
  }
}

useFakeTime();

describe("cancellable() at every step", () => {
  it("stops its operation at most once, ends after it, and settles with its value, its error, or the reason", async () => {
    await atEveryStep(80, plans, async (steps, plan) => {
      const scope = createScope({ name: "root", onError: () => undefined }); // the interruption may be a failure
      steps.interrupt = () => endScope(scope, plan.ending);
      const stage = new Stage(steps, plan);
      const { timeout } = plan;
      const outcome = await steps.play(cancellable(scope, stage.start, stage.stop, { timeout }));
      expect([stage.hasEnded, stage.stopHasEnded]).toEqual([true, true]);
      expect(stage.reasons.length).toBeLessThanOrEqual(1);
      expect(outcome).toEqual(stage.expected);
      expect((outcome as { reason?: unknown }).reason).toBe((stage.expected as { reason?: unknown }).reason);
      await steps.play(pause(20)); // of an operation that was stopped, or a stop that was late
      await expectNothingLeft(steps, scope);
    });
  });
});
