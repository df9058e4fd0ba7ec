import fc from "fast-check";
import { expect, vi } from "vitest";
import { suppressed, type Scope, type ScopeHandle } from "../../src/index.js";
import { fail } from "../../src/kernel/lifecycle.js";
import { nodeOf } from "../../src/task/node-of.js";
import { flush } from "./deferred.js";

/** How many turns the microtasks get before the event loop has a turn. */
const HOPS = 10;

/** After this many turns of the microtasks, the callbacks of `process.nextTick` have a turn. */
const TICK = 4;

/** After this many turns of the event loop without a timer, nothing more will happen. */
const IDLE_TURNS = 4;

/**
 * Plays a scene step by step. A step is a turn of the microtasks, a turn of the event loop, a (fake) timer, or a `point()` in
 * the scene's own code. At one of the steps, the scene is interrupted.
 */
export class Steps {
  count = 0;
  interrupted = false;
  /** The interruption. The scene sets it. */
  interrupt: () => void = () => undefined;
  /** Whether nothing interrupts it unless everything is blocked. */
  readonly undisturbed: boolean;
  readonly #at: number;
  /** How many turns of the event loop have passed in which nothing is known to have happened. */
  #idle = 0;

  constructor(at: number) {
    this.#at = at;
    this.undisturbed = at === Infinity;
  }

  /** A step in the midst of whatever calls it. */
  readonly point = (): void => {
    this.#idle = 0;
    this.#step();
  };

  #step(): void {
    if (this.count++ === this.#at) this.#interrupt();
  }

  #interrupt(): void {
    if (this.interrupted) return;
    this.interrupted = true;
    this.interrupt();
  }

  /**
   * Lets things happen until `promise` has settled. The interruption comes at the latest when everything is blocked.
   *
   * @throws {Error} If everything is blocked even after the interruption: a wait was not ended.
   */
  async play<T>(promise: PromiseLike<T>): Promise<PromiseSettledResult<T>> {
    let result: PromiseSettledResult<T> | undefined;
    promise.then(
      (value) => (result = { status: "fulfilled", value }),
      (reason: unknown) => (result = { status: "rejected", reason }),
    );
    const settled = (): PromiseSettledResult<T> | undefined => result;
    this.#idle = 0;
    while (settled() === undefined) {
      for (let hop = 0; hop < HOPS && settled() === undefined; hop++) {
        this.#step();
        await (hop % TICK === TICK - 1 ? new Promise((resolve) => process.nextTick(resolve)) : undefined);
      }
      this.#step();
      await flush();
      if (settled() === undefined) this.#goOn();
    }
    return settled() as PromiseSettledResult<T>;
  }

  /** Without timers something may still happen by itself in the event loop, but not for ever. */
  #goOn(): void {
    if (vi.isFakeTimers() && vi.getTimerCount() > 0) {
      this.#idle = 0;
      vi.advanceTimersToNextTimer();
    } else if (++this.#idle > IDLE_TURNS) {
      if (this.interrupted) throw new Error("everything is blocked");
      this.#idle = 0;
      this.#interrupt();
    }
  }
}

/**
 * Plays `scene` for random plans: undisturbed, and then once more for each of its steps, interrupted there. A plan that
 * fails is not made smaller, which would take minutes; its random-number seed is printed.
 */
export async function atEveryStep<P>(
  plans: number,
  plan: fc.Arbitrary<P>,
  scene: (steps: Steps, plan: P) => Promise<void>,
): Promise<void> {
  const property = fc.asyncProperty(plan, async (generated) => {
    const undisturbed = new Steps(Infinity);
    await scene(undisturbed, generated);
    for (let at = 0; at < undisturbed.count; at++) {
      try {
        await scene(new Steps(at), generated);
      } catch (error) {
        throw new Error(`interrupted at step ${at}`, { cause: error });
      }
    }
  });
  await fc.assert(property, { numRuns: plans, endOnFailure: true });
}

/** The cause of every interruption by {@link endScope}. */
export const stop = new Error("stop");

/** How a scope comes to its end from outside. */
export type Ending = "is cancelled" | "is closed" | "fails";
export const endings: fc.Arbitrary<Ending> = fc.constantFrom("is cancelled", "is closed", "fails");

export function endScope(scope: ScopeHandle, ending: Ending): void {
  if (scope.state === "closed") return;
  if (ending === "is cancelled") scope.cancel(stop);
  else if (ending === "is closed") void scope.close({ cause: stop }).catch(() => undefined);
  else fail(nodeOf("test", "scope", scope), stop);
}

/** Waits by a timer, whatever is cancelled meanwhile: for cleanups. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Checks that no listener of `scope` itself is left. */
export function expectNoHooks(scope: Scope): void {
  expect(nodeOf("test", "scope", scope).hooks).toBeUndefined();
}

/** Closes `scopes`, and looks whether a child, a hook, a cleanup or a timer was left in them. */
export async function expectNothingLeft(steps: Steps, ...scopes: readonly ScopeHandle[]): Promise<void> {
  for (const scope of scopes) {
    expectNoHooks(scope);
    await steps.play(scope.close().catch(() => undefined));
    const node = nodeOf("test", "scope", scope);
    expect([node.first, node.extras?.defers]).toEqual([undefined, undefined]);
  }
  if (vi.isFakeTimers()) expect(vi.getTimerCount()).toBe(0);
}

/** An error, those that came after it, and those that came after these. */
export function allOf(error: unknown): unknown[] {
  return [error, ...suppressed(error).flatMap(allOf)];
}
