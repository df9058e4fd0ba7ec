import fc from "fast-check";
import { background, sleep, spawn, type CancelledError, type Scope } from "../../src/index.js";
import { pause, type Steps } from "./steps.js";
import { untilCancelled } from "./until-cancelled.js";

/** The behaviour of a worker of a property test. */
export interface Act {
  readonly waits: readonly number[];
  readonly end: "fails" | "returns" | "cancels itself" | "hangs";
  readonly child: "none" | "waits" | "fails";
  /** For how long it cleans up, whatever happens meanwhile. */
  readonly cleanup: number;
  readonly cleanupFails: boolean;
}

export const acts: fc.Arbitrary<Act> = fc.record<Act>({
  waits: fc.constantFrom([], [0], [3], [30, 0]),
  end: fc.constantFrom("fails", "returns", "returns", "cancels itself", "hangs"),
  child: fc.constantFrom("none", "none", "waits", "fails"),
  cleanup: fc.constantFrom(0, 0, 2),
  cleanupFails: fc.constantFrom(false, false, true),
});

/** Why an actor cancels itself. */
export const itself: Error = new Error("itself");

/** Plays one act, once, and watches. Its value is 7. */
export class Actor {
  called = 0;
  /** Of it and its child, how many have not ended, cleanup included. */
  alive = 0;
  returned = false;
  /** Whether its child was cut short. */
  cut = false;
  /** When it was cancelled, and why. */
  cancelled: { readonly at: number; readonly reason: CancelledError } | undefined;
  /** In the order in which they were thrown. */
  readonly failures: unknown[] = [];
  /** Its scope, once it was called. */
  own: Scope = background;
  readonly #steps: Steps;
  readonly #act: Act;

  constructor(steps: Steps, act: Act) {
    this.#steps = steps;
    this.#act = act;
  }

  readonly worker = (own: Scope): Promise<number> | number => {
    this.called += 1;
    this.alive += 1;
    this.own = own;
    own.onCancel((reason) => {
      this.cancelled = { at: Date.now(), reason };
      this.#steps.point();
    });
    own.defer(() => this.#cleanUp());
    this.#steps.point();
    if (this.#act.child !== "none") this.#spawnChild(own);
    return this.#act.waits.length === 0 ? this.#end(own) : this.#play(own);
  };

  async #play(own: Scope): Promise<number> {
    for (const ms of this.#act.waits) await sleep(own, ms);
    return this.#end(own);
  }

  #end(own: Scope): number | Promise<number> {
    const { end } = this.#act;
    if (end === "fails") this.#fail("end");
    if (end === "cancels itself") own.cancel(itself);
    if (end !== "returns") return untilCancelled(own);
    this.returned = true;
    return 7;
  }

  #spawnChild(own: Scope): void {
    if (own.cancelled) this.cut = true; // it starts cancelled
    this.alive += 1;
    own.defer(() => void (this.alive -= 1));
    spawn(own, async (inner) => {
      await sleep(inner, 4).catch(async (error: unknown) => {
        this.cut = true;
        await pause(1);
        throw error;
      });
      if (this.#act.child === "fails") this.#fail("child");
    });
  }

  async #cleanUp(): Promise<void> {
    this.#steps.point();
    if (this.#act.cleanup > 0) await pause(this.#act.cleanup);
    this.alive -= 1;
    if (this.#act.cleanupFails) this.#fail("cleanup");
  }

  #fail(label: string): never {
    const error = new Error(label);
    this.failures.push(error);
    throw error;
  }
}
