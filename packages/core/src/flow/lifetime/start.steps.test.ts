// oxlint-disable vitest/no-conditional-expect -- in a property, what holds depends on what was generated
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  atEveryStep,
  endings,
  endScope,
  expectNoHooks,
  expectNothingLeft,
  pause,
  stop,
  type Steps,
} from "../../../test/support/steps.js";
import { untilCancelled } from "../../../test/support/until-cancelled.js";
import {
  BoughError,
  createScope,
  ScopeClosedError,
  sleep,
  spawn,
  start,
  type Scope,
  type Started,
} from "../../index.js";
import { useFakeTime } from "../../../test/support/fake-time.js";

interface Plan {
  readonly before: readonly number[];
  /** How often it says that it is ready. */
  readonly ready: 0 | 1 | 2;
  readonly after: readonly number[];
  readonly end: "fails" | "returns" | "cancels itself" | "hangs";
  readonly child: "none" | "waits" | "fails" | "says so";
  /** Its reaction to a cancellation. */
  readonly cut: "lets it through" | "returns" | "says so";
  readonly cleanup: number;
  readonly cleanupFails: boolean;
  /** For how long it waits in the queue of its scope. */
  readonly queued: number | undefined;
}

const waits = fc.constantFrom([], [], [0], [3], [30, 0]);
const plans: fc.Arbitrary<Plan> = fc.record<Plan>({
  before: waits,
  ready: fc.constantFrom(0, 1, 1, 1, 2),
  after: waits,
  end: fc.constantFrom("fails", "returns", "cancels itself", "hangs"),
  child: fc.constantFrom("none", "none", "waits", "fails", "says so"),
  cut: fc.constantFrom("lets it through", "lets it through", "returns", "says so"),
  cleanup: fc.constantFrom(0, 0, 2),
  cleanupFails: fc.boolean(),
  queued: fc.constantFrom(undefined, undefined, 0, 5),
});

/** Why a worker cancels itself. */
const itself = new Error("itself");

/** Plays a plan, and watches. */
class Stage {
  called = 0;
  alive = 0;
  /** Its first call of `started`, if it was in time: the caller must get this value. */
  said: { readonly value: number; readonly at: number } | undefined;
  /** In the order in which they were thrown. */
  readonly failures: unknown[] = [];
  readonly surprises: unknown[] = [];
  own: Scope | undefined;
  readonly #steps: Steps;
  readonly #plan: Plan;

  constructor(steps: Steps, plan: Plan) {
    this.#steps = steps;
    this.#plan = plan;
  }

  readonly worker = (own: Scope, started: Started<number>): unknown => {
    this.called += 1;
    this.alive += 1;
    this.own = own;
    own.defer(() => this.#cleanUp());
    this.#steps.point();
    if (this.#plan.child !== "none") this.#spawnChild(own, started);
    const { before, after } = this.#plan;
    return before.length + after.length === 0 ? this.#end(own, started) : this.#play(own, started);
  };

  async #play(own: Scope, started: Started<number>): Promise<unknown> {
    try {
      for (const ms of this.#plan.before) await sleep(own, ms);
    } catch (error) {
      if (this.#plan.cut === "lets it through") throw error;
      if (this.#plan.cut === "says so") this.#say(own, started, 9);
      return undefined;
    }
    return this.#end(own, started);
  }

  #end(own: Scope, started: Started<number>): unknown {
    for (let n = 0; n < this.#plan.ready; n++) this.#say(own, started, n);
    return this.#plan.after.length === 0 ? this.#finish(own) : this.#waitAndFinish(own);
  }

  async #waitAndFinish(own: Scope): Promise<unknown> {
    for (const ms of this.#plan.after) await sleep(own, ms);
    return this.#finish(own);
  }

  #finish(own: Scope): unknown {
    const { end } = this.#plan;
    if (end === "fails") this.#fail(new Error("end"));
    if (end === "cancels itself") own.cancel(itself);
    return end === "returns" ? undefined : untilCancelled(own);
  }

  /** Once it was heard, saying it again throws. */
  #say(own: Scope, started: Started<number>, value: number): void {
    const heard = this.said !== undefined;
    if (!heard && !own.cancelled) this.said = { value, at: Date.now() };
    try {
      started(value);
    } catch (error) {
      this.failures.push(error);
      if (heard && error instanceof BoughError && error.code === "BOUGH_STARTED") throw error;
      this.surprises.push(error);
    }
    if (heard) this.surprises.push("said twice");
    this.#steps.point();
  }

  #spawnChild(own: Scope, started: Started<number>): void {
    spawn(own, async (inner) => {
      this.alive += 1;
      inner.defer(() => void (this.alive -= 1));
      await sleep(inner, 4);
      if (this.#plan.child === "fails") this.#fail(new Error("child"));
      if (this.#plan.child === "says so") this.#say(own, started, 5);
    });
  }

  async #cleanUp(): Promise<void> {
    this.#steps.point();
    if (this.#plan.cleanup > 0) await pause(this.#plan.cleanup);
    this.alive -= 1;
    if (this.#plan.cleanupFails) this.#fail(new Error("cleanup"));
  }

  #fail(error: unknown): never {
    this.failures.push(error);
    throw error;
  }
}

function expectOutcome(
  stage: Stage,
  scope: Scope,
  outcome: PromiseSettledResult<number>,
  failed: readonly unknown[],
): void {
  if (stage.said !== undefined) {
    expect(outcome).toEqual({ status: "fulfilled", value: stage.said.value });
    return;
  }
  const reason: unknown = outcome.status === "rejected" && outcome.reason;
  expect(stage.alive).toBe(0);
  if (reason instanceof ScopeClosedError) expect([stage.called, scope.reason?.kind]).toEqual([0, "closed"]);
  else if (failed.length > 0) expect(reason).toBe(failed[0]);
  else if (scope.cancelled && stage.own?.cancelled !== false)
    expect([scope.reason, stage.own?.reason]).toContain(reason);
  else if (stage.own?.cancelled === true) expect(reason).toBe(stage.own.reason);
  else expect(reason).toMatchObject({ code: "BOUGH_NOT_STARTED" });
}

useFakeTime();

describe("start() at every step", () => {
  it("settles every call, and reports each failure once, to the caller or to the scope", () =>
    atEveryStep(30, fc.tuple(plans, endings), async (steps, [plan, ending]) => {
      const scope = createScope({
        concurrency: plan.queued === undefined ? Infinity : 1,
        onError: () => undefined,
      });
      const stage = new Stage(steps, plan);
      const { queued } = plan;
      if (queued !== undefined) spawn(scope, (own) => sleep(own, queued));
      let called = -1;
      steps.interrupt = () => {
        endScope(scope, ending);
        called = stage.called;
      };
      steps.point();
      const ready = start(scope, stage.worker);
      const outcome = await steps.play(ready);
      const failed = [...stage.failures];
      if (stage.said !== undefined && outcome.status === "fulfilled") expect(Date.now()).toBe(stage.said.at);
      expectOutcome(stage, scope, outcome, failed);
      if (!steps.interrupted && stage.said === undefined) expect(scope.cancelled).toBe(false);
      expectNoHooks(scope);
      await steps.play(scope.join().catch(() => undefined));
      expect(stage.alive).toBe(0);
      expect(stage.surprises).toEqual([]);
      if (called >= 0) expect(stage.called).toBe(called);
      const heard = scope.errors.filter((error) => error !== stop);
      expect(new Set(heard)).toEqual(new Set(stage.said === undefined ? [] : stage.failures));
      await expectNothingLeft(steps, scope);
    }));
});
