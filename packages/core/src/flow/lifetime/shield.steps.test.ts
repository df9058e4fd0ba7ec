// oxlint-disable vitest/no-conditional-expect -- in a property, what holds depends on what was generated
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Actor, acts, itself } from "../../../test/support/actor.js";
import {
  atEveryStep,
  endings,
  endScope,
  expectNothingLeft,
  stop,
  type Steps,
} from "../../../test/support/steps.js";
import { createContextKey, createScope, DeadlineExceededError, shield, type Scope } from "../../index.js";
import { useFakeTime } from "../../../test/support/fake-time.js";

/** Where it is called: in a scope, in a defer of that, or in another shield. */
type Place = "scope" | "defer" | "shield";

const plans = fc.record({
  act: acts,
  timeout: fc.constantFrom(2, 20, 100),
  place: fc.constantFrom<Place[]>("scope", "scope", "defer", "shield"),
  outerTimeout: fc.constantFrom(undefined, undefined, 1, 15),
  ending: endings,
});

const key = createContextKey<string>("key");

/** Enters one shield, and keeps what can be seen of it. */
class Stage {
  readonly actor: Actor;
  readonly timeout: number;
  /** The scope that it is in. */
  outer: Scope | undefined;
  enteredAt = 0;
  /** When `outer` was cancelled. */
  outerAt = Infinity;
  /** The state that the body saw at its start. */
  seen: unknown[] = [];
  result: Promise<number> | undefined;

  constructor(steps: Steps, act: ConstructorParameters<typeof Actor>[1], timeout: number) {
    this.actor = new Actor(steps, act);
    this.timeout = timeout;
  }

  readonly enter = (outer: Scope): Promise<number> => {
    this.outer = outer;
    this.enteredAt = Date.now();
    outer.onCancel(() => (this.outerAt = Date.now()));
    this.result = shield(outer, { timeout: this.timeout }, (own) => {
      this.seen = [own.get(key), own.deadline, own.cancelled];
      return this.actor.worker(own);
    });
    return this.result;
  };
}

function expectCause({ actor, outer, outerAt, enteredAt, timeout }: Stage): void {
  if (actor.cancelled === undefined) return expect(actor.own.signal.aborted).toBe(false);
  const { reason, at } = actor.cancelled;
  expect(actor.own.signal.reason).toBe(reason);
  if (reason.cause === itself || actor.failures.includes(reason.cause)) return;
  const end = enteredAt + timeout;
  expect(at).toBe(end);
  // In the same instant either may have come first.
  if (outerAt < end || (outerAt === end && reason === outer?.reason))
    return expect(reason).toBe(outer?.reason);
  expect(reason).toBeInstanceOf(DeadlineExceededError);
  expect(reason).toMatchObject({ deadline: end });
}

function expectOutcome({ actor }: Stage, outcome: PromiseSettledResult<number>): void {
  const reason: unknown = outcome.status === "rejected" && outcome.reason;
  if (actor.failures.length > 0) expect(reason).toBe(actor.failures[0]);
  else if (actor.returned && !actor.cut) expect(outcome).toEqual({ status: "fulfilled", value: 7 });
  else expect(reason).toBe(actor.own.reason);
}

useFakeTime();

describe("shield() at every step", () => {
  it("rule 23: is cancelled from outside only by its own timeout, and the enclosing scope waits for it", () =>
    atEveryStep(30, plans, async (steps, { act, timeout, place, outerTimeout, ending }) => {
      const scope = createScope({ timeout: outerTimeout, onError: () => undefined });
      const stage = new Stage(steps, act, timeout);
      const { actor, enter } = stage;
      scope.set(key, "value");
      steps.interrupt = () => endScope(scope, ending);
      if (place === "defer") scope.defer(() => enter(scope));
      else if (place === "scope") enter(scope).catch(() => undefined);
      else shield(scope, { timeout: 1_000 }, enter).catch(() => undefined);
      await steps.play(scope.join());
      expect([actor.called, actor.alive]).toEqual([1, 0]);
      expect(stage.seen).toEqual(["value", stage.enteredAt + timeout, false]);
      const outcome = await steps.play(stage.result as Promise<number>);
      expectCause(stage);
      expectOutcome(stage, outcome);
      const failed = place === "defer" && outcome.status === "rejected";
      expect(scope.errors.filter((error) => error !== stop)).toEqual(failed ? [outcome.reason] : []);
      await expectNothingLeft(steps, scope);
    }));
});
