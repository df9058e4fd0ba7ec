import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { atEveryStep, endings, endScope, expectNothingLeft, pause } from "../../../test/support/steps.js";
import { createScope, sleep, type Scope } from "../../index.js";
import { useFakeTime } from "../../../test/support/fake-time.js";

/** Sleeps in the scope that is ended meanwhile, or in another. */
interface Plan {
  readonly after: number;
  readonly ms: number;
  readonly elsewhere: boolean;
}

const plans: fc.Arbitrary<Plan[]> = fc.array(
  fc.record({
    after: fc.constantFrom(0, 1, 5),
    ms: fc.constantFrom(0, 1, 5, 20),
    elsewhere: fc.constantFrom(false, false, true),
  }),
  { minLength: 1, maxLength: 6 },
);

/** How a sleep ended. */
interface End {
  readonly at: number;
  readonly is: unknown;
}

/** Sleeps, and keeps when each sleep began and how it ended. */
class Sleepers {
  readonly sleeps: { readonly scope: Scope; readonly at: number; readonly ms: number; end?: End }[] = [];
  pauses = 0;

  async play(scope: Scope, { after, ms }: Plan): Promise<void> {
    if (after > 0) {
      this.pauses += 1;
      await pause(after);
      this.pauses -= 1;
    }
    await this.sleep(scope, ms);
  }

  async sleep(scope: Scope, ms: number): Promise<void> {
    const one: (typeof this.sleeps)[number] = { scope, at: Date.now(), ms };
    this.sleeps.push(one);
    const end = (is: unknown): void => void (one.end = { at: Date.now(), is });
    await sleep(scope, ms).then(() => end("over"), end);
  }

  /** How many timers there may be when `ended` has ended. */
  timersWithout(ended: Scope): number {
    const others = this.sleeps.filter(({ scope, end }) => scope !== ended && end === undefined);
    return others.length + this.pauses;
  }
}

function possibleEnds(at: number, ms: number, endedAt: number, reason: unknown): End[] {
  const ends: End[] = [];
  if (at + ms <= endedAt) ends.push({ at: at + ms, is: "over" });
  if (at + ms >= endedAt) ends.push({ at: Math.max(at, endedAt), is: reason });
  return ends;
}

useFakeTime();

describe("sleep() at every step", () => {
  it("ends in its time or with its scope, whichever is first, and leaves no timer", () =>
    atEveryStep(25, fc.tuple(plans, endings), async (steps, [list, ending]) => {
      const scope = createScope({ onError: () => undefined });
      const other = createScope();
      const sleepers = new Sleepers();
      const late: Promise<void>[] = [];
      let endedAt = Infinity;
      steps.interrupt = () => {
        endedAt = Date.now();
        endScope(scope, ending);
        expect(vi.getTimerCount()).toBeLessThanOrEqual(sleepers.timersWithout(scope));
      };
      const all = list.map((plan) => sleepers.play(plan.elsewhere ? other : scope, plan));
      scope.onCancel(() => late.push(sleepers.sleep(scope, 5)));
      await steps.play(Promise.all([...all, sleepers.sleep(scope, Infinity)]));
      await steps.play(Promise.all(late));
      for (const { scope: at, ...one } of sleepers.sleeps) {
        const ends = possibleEnds(one.at, one.ms, at === scope ? endedAt : Infinity, scope.reason);
        expect(ends).toContainEqual(one.end);
      }
      await expectNothingLeft(steps, scope, other);
    }));
});
