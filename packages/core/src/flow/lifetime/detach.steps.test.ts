// oxlint-disable vitest/no-conditional-expect -- in a property, what holds depends on what was generated
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Actor, acts, itself } from "../../../test/support/actor.js";
import {
  atEveryStep,
  endings,
  endScope,
  expectNothingLeft,
  pause,
  stop,
} from "../../../test/support/steps.js";
import { createContextKey, createScope, DeadlineExceededError, detach, type Scope } from "../../index.js";
import { useFakeTime } from "../../../test/support/fake-time.js";

const plans = fc
  .record({
    act: acts,
    keepDeadline: fc.boolean(),
    sourceTimeout: fc.constantFrom(undefined, 2, 20),
    targetTimeout: fc.constantFrom(undefined, undefined, 1, 15),
    supervise: fc.boolean(),
    /** How long before the call the scopes were made. */
    lead: fc.constantFrom(0, 0, 0, 3),
    /** Whether the source is closed right after the call. */
    closes: fc.boolean(),
    hit: fc.constantFrom<("source" | "target")[]>("source", "target", "target"),
    ending: endings,
  })
  // No event of the calling scope ends a task that waits for its cancellation.
  .filter(({ act, hit }) => !(act.end === "hangs" && hit === "source"));

const [mine, both, theirs] = [
  createContextKey<string>("mine"),
  createContextKey<string>("both"),
  createContextKey<string>("theirs"),
];

interface Run {
  readonly actor: Actor;
  readonly target: Scope;
  /** The deadline that it has taken along. */
  readonly bound: number | undefined;
}

/** Whether it has failed for want of time, which only its own deadline can make it. */
function isTimeout(reason: unknown, { target, bound, actor }: Run): boolean {
  if (!(reason instanceof DeadlineExceededError) || reason === target.reason) return false;
  expect(reason.deadline).toBe(bound);
  if (actor.called > 0) expect(actor.cancelled).toEqual({ at: bound, reason });
  return true;
}

/** @returns What the target should have heard of. */
function expectOutcome(run: Run, outcome: PromiseSettledResult<number>, status: string): unknown[] {
  const { actor, target } = run;
  const reason: unknown = outcome.status === "rejected" ? outcome.reason : undefined;
  const failures = isTimeout(reason, run) ? [reason, ...actor.failures] : actor.failures;
  if (failures.length > 0) {
    expect([status, reason]).toEqual(["failed", failures[0]]);
  } else if (actor.returned && !actor.cut) {
    expect(outcome).toEqual({ status: "fulfilled", value: 7 });
  } else {
    expect(status).toBe("cancelled");
    expect([target.reason, actor.own.reason?.cause === itself && actor.own.reason]).toContain(reason);
  }
  return failures;
}

useFakeTime();

describe("detach() at every step", () => {
  it("belongs only to the target once it is called, and keeps the context values and the deadline", () =>
    atEveryStep(20, plans, async (steps, { act, keepDeadline, ...plan }) => {
      const onError = (): void => undefined;
      const request = createScope({ timeout: plan.sourceTimeout, onError });
      const source = createScope(request);
      const target = createScope({ timeout: plan.targetTimeout, supervise: plan.supervise, onError });
      request.set(mine, "source");
      request.set(both, "request");
      source.set(both, "source");
      target.set(both, "target");
      target.set(theirs, "target");
      steps.interrupt = () => endScope(plan.hit === "source" ? request : target, plan.ending);
      if (plan.lead > 0) await steps.play(pause(plan.lead));
      steps.point();
      if (target.reason?.kind === "closed") return expectNothingLeft(steps, request, target);

      const actor = new Actor(steps, act);
      const run = { actor, target, bound: keepDeadline ? source.deadline : undefined };
      const [calledAt, wasCancelled] = [Date.now(), target.cancelled];
      const due = Math.min(run.bound ?? Infinity, target.deadline ?? Infinity);
      let seen: unknown[] = [];
      const worker = (own: Scope): Promise<number> | number => {
        seen = [own.get(mine), own.get(both), own.get(theirs), own.deadline ?? Infinity];
        return actor.worker(own);
      };
      const task = detach(source, target, worker, { keepDeadline });
      const starts = !wasCancelled && due > calledAt;
      expect(seen).toEqual(starts ? ["source", "source", "target", due] : []);
      if (plan.closes) {
        await steps.play(request.close());
        expect(Date.now()).toBe(calledAt); // the source does not wait for it
      }
      const heard = expectOutcome(run, await steps.play(task), task.status);
      expect(actor.alive).toBe(0);
      expect(target.errors.filter((error) => error !== stop)).toEqual(plan.supervise ? [] : heard);
      expect(source.errors).toEqual([]);
      await expectNothingLeft(steps, request, target);
    }));
});
