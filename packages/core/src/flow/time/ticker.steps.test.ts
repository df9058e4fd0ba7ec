// oxlint-disable vitest/no-standalone-expect -- the consumer looks at every move
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  atEveryStep,
  endings,
  endScope,
  expectNoHooks,
  expectNothingLeft,
  pause,
} from "../../../test/support/steps.js";
import { createScope, ticker, type Scope } from "../../index.js";

/** The moves of the consumer, in order. */
type Move = "asks" | "waits for all" | "returns" | { readonly busy: number };

const moves: fc.Arbitrary<Move[]> = fc.array(
  fc.oneof(
    fc.constant<Move>("asks"),
    fc.constantFrom<Move[]>("waits for all", { busy: 0 }, { busy: 3 }, { busy: 10 }, { busy: 25 }),
    fc.constantFrom<Move[]>("asks", "waits for all", "returns"),
  ),
  { minLength: 2, maxLength: 8 },
);

/** The outcome of a call of `next()`, and its time: a tick, the end, or the reason. */
interface Answer {
  readonly at: number;
  readonly is: unknown;
}

/** A call of `next()`, in the state that the ticker was in. */
interface Call {
  readonly at: number;
  readonly state: "open" | "returned" | "cancelled";
  answer?: Answer;
}

/** Makes the moves, and keeps what comes of them. */
class Consumer {
  readonly calls: Call[] = [];
  returnedAt = Infinity;
  isBusy = false;
  readonly #scope: Scope;
  readonly #ticks: AsyncIterableIterator<number>;
  readonly #pending = new Set<Promise<void>>();

  constructor(scope: Scope, ms: number) {
    this.#scope = scope;
    this.#ticks = ticker(scope, ms);
  }

  async play(list: readonly Move[]): Promise<void> {
    for (const move of list) {
      if (move === "asks") this.#ask();
      else if (move === "waits for all") await this.#all();
      else if (move === "returns") await this.#return();
      else await this.#work(move.busy);
    }
    await this.#all();
  }

  #ask(): void {
    const state = this.#scope.cancelled ? "cancelled" : "open";
    const call: Call = { at: Date.now(), state: this.returnedAt < Infinity ? "returned" : state };
    this.calls.push(call);
    const answered = this.#ticks.next().then(
      ({ value, done }) => void (call.answer = { at: Date.now(), is: done === true ? "the end" : value }),
      (reason: unknown) => void (call.answer = { at: Date.now(), is: reason }),
    );
    this.#pending.add(answered);
    void answered.then(() => this.#pending.delete(answered));
  }

  /** After that no reader waits, so there is no timer. */
  async #all(): Promise<void> {
    await Promise.all(this.#pending);
    expect(vi.getTimerCount()).toBe(0);
    expectNoHooks(this.#scope);
  }

  async #return(): Promise<void> {
    this.returnedAt = Math.min(this.returnedAt, Date.now());
    const returned = this.#ticks.return?.();
    expect(vi.getTimerCount()).toBe(0);
    expect(await returned).toEqual({ done: true, value: undefined });
  }

  async #work(ms: number): Promise<void> {
    this.isBusy = true;
    await pause(ms);
    this.isBusy = false;
  }
}

/** Each call gets the first tick after it that no call before it was promised, in its time, or hears at once why not. */
function expectAnswers({ calls, returnedAt }: Consumer, ms: number, cancelledAt: number, scope: Scope): void {
  let due = 0;
  let told = false;
  for (const { at, state, answer } of calls) {
    if (state === "open") {
      due += ms;
      while (due <= at) due += ms;
    }
    const tick: Answer = { at: due, is: due };
    const [end, reason] = [
      { at, is: "the end" },
      { at, is: scope.reason },
    ];
    const possible: Answer[] = [];
    if (state === "returned" || (state === "cancelled" && told)) possible.push(end);
    else if (state === "cancelled") possible.push(reason);
    else {
      // At one and the same instant, either may come first.
      if (due <= Math.min(returnedAt, cancelledAt)) possible.push(tick);
      if (returnedAt <= Math.min(due, cancelledAt)) possible.push({ ...end, at: returnedAt });
      if (cancelledAt <= Math.min(due, returnedAt)) possible.push({ ...reason, at: cancelledAt });
    }
    expect(possible).toContainEqual(answer);
    told ||= answer?.is === scope.reason;
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
});

afterEach(() => {
  vi.useRealTimers();
});

describe("ticker() at every step", () => {
  it("gives each tick to one waiting reader, drops ticks without a reader, and has no timer meanwhile", () =>
    atEveryStep(
      25,
      fc.tuple(moves, fc.constantFrom(1, 7, 10), endings),
      async (steps, [list, ms, ending]) => {
        vi.setSystemTime(0);
        const scope = createScope({ onError: () => undefined });
        const consumer = new Consumer(scope, ms);
        let cancelledAt = Infinity;
        steps.interrupt = () => {
          endScope(scope, ending);
          cancelledAt = Date.now();
          expect(vi.getTimerCount()).toBeLessThanOrEqual(consumer.isBusy ? 1 : 0);
        };
        await steps.play(consumer.play(list));
        expectAnswers(consumer, ms, cancelledAt, scope);
        await expectNothingLeft(steps, scope);
      },
    ));

  it("keeps its schedule when the system time is set, and yields the system time", () => {
    const hour = 3_600_000;
    const jump = fc.constantFrom(0, 0, -1, 1, -35, 50, hour, -hour);
    const property = fc.asyncProperty(fc.array(fc.tuple(jump, jump), { maxLength: 20 }), async (jumps) => {
      const scope = createScope();
      const ticks = ticker(scope, 10);
      for (const [before, meanwhile] of jumps) {
        const begun = performance.now();
        vi.setSystemTime(Date.now() + before);
        const next = ticks.next();
        vi.setSystemTime(Date.now() + meanwhile);
        vi.advanceTimersToNextTimer();
        const { value } = await next;
        expect(performance.now() - begun).toBe(10);
        expect(Math.abs(value - Date.now())).toBeLessThanOrEqual(1_000);
      }
      await scope.close();
    });
    return fc.assert(property, { numRuns: 50 });
  });
});
