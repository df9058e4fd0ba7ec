// oxlint-disable vitest/no-conditional-expect -- in a property, what holds depends on what was generated
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  atEveryStep,
  endings,
  endScope,
  expectNothingLeft,
  pause,
  stop,
  type Steps,
} from "../../../test/support/steps.js";
import { untilCancelled } from "../../../test/support/until-cancelled.js";
import {
  createScope,
  isCancelled,
  sleep,
  spawn,
  supervise,
  suppressed,
  type Scope,
  type Task,
} from "../../index.js";

/** One run of the worker. */
interface Run {
  readonly waits: readonly number[];
  readonly end: "fails" | "returns" | "cancels itself" | "hangs";
  readonly child: "none" | "waits" | "fails" | "is stuck";
  readonly cleanup: number;
  readonly cleanupFails: boolean;
}

const runs: fc.Arbitrary<Run[]> = fc.array(
  fc.record<Run>({
    waits: fc.constantFrom([], [], [0], [3], [30, 0]),
    end: fc.constantFrom("fails", "fails", "fails", "fails", "returns", "cancels itself", "hangs"),
    child: fc.constantFrom("none", "none", "none", "waits", "fails", "is stuck"),
    cleanup: fc.constantFrom(0, 0, 2),
    cleanupFails: fc.boolean(),
  }),
  { minLength: 1, maxLength: 4 },
);

const afterwards: Run = { waits: [], end: "returns", child: "none", cleanup: 0, cleanupFails: false };

interface Limits {
  readonly maxRestarts: number;
  readonly window: number;
  readonly minDelay: number;
  readonly maxDelay: number;
}

/** The delays are parts of the window, so that restarts come when others leave it. */
const limits: fc.Arbitrary<Limits> = fc
  .record({
    maxRestarts: fc.integer({ min: 0, max: 3 }),
    window: fc.constantFrom(0, 12, 60_000),
    delays: fc.constantFrom(
      { minDelay: 0, maxDelay: 8 },
      { minDelay: 16, maxDelay: 8 },
      { minDelay: 16, maxDelay: 1_000 },
    ),
  })
  .map(({ delays, ...rest }) => ({ ...rest, ...delays }));

/** Why a run cancels itself. */
const itself = new Error("itself");

/** Runs the plan, one `Run` after the other, and watches. */
class Stage {
  /** When each run began. */
  readonly starts: number[] = [];
  readonly restarts: { readonly error: unknown; readonly count: number; readonly at: number }[] = [];
  /** The error of each run, in order. */
  readonly errors: unknown[][] = [];
  /** The number of the last run if it has returned. */
  returned: number | undefined;
  /** Whether a child of the last run was cut short. */
  cut = false;
  /** How many workers and children have not ended, cleanup included. */
  alive = 0;
  overlaps = 0;
  readonly #steps: Steps;
  readonly #plan: readonly Run[];

  constructor(steps: Steps, plan: readonly Run[]) {
    this.#steps = steps;
    this.#plan = plan;
  }

  readonly worker = (own: Scope): Promise<number> | number => {
    const index = this.starts.length;
    const run = this.#plan[index] ?? afterwards;
    if (this.alive > 0) this.overlaps += 1;
    this.alive += 1;
    this.cut = false;
    this.returned = undefined;
    this.starts.push(Date.now());
    this.errors.push([]);
    own.defer(() => this.#cleanUp(run, index));
    this.#steps.point();
    if (run.child !== "none") this.#spawnChild(run, index, own);
    return run.waits.length === 0 ? this.#end(run, index, own) : this.#play(run, index, own);
  };

  async #play(run: Run, index: number, own: Scope): Promise<number> {
    for (const ms of run.waits) await sleep(own, ms);
    return this.#end(run, index, own);
  }

  #end(run: Run, index: number, own: Scope): number | Promise<number> {
    if (run.end === "fails") this.#fail(index);
    if (run.end === "cancels itself") own.cancel(itself);
    if (run.end !== "returns") return untilCancelled(own);
    this.returned = index;
    return index;
  }

  #spawnChild({ child }: Run, index: number, own: Scope): void {
    if (own.cancelled) this.cut = true; // it starts cancelled
    this.alive += 1;
    own.defer(() => void (this.alive -= 1));
    spawn(own, async (inner) => {
      if (child === "is stuck") return pause(50);
      await sleep(inner, 5).catch(async (error: unknown) => {
        this.cut = true;
        await pause(1);
        throw error;
      });
      if (child === "fails") this.#fail(index);
    });
  }

  async #cleanUp({ cleanup, cleanupFails }: Run, index: number): Promise<void> {
    this.#steps.point();
    if (cleanup > 0) await pause(cleanup);
    this.alive -= 1;
    if (cleanupFails) this.#fail(index);
  }

  #fail(index: number): never {
    const error = new Error(`run ${index}`);
    this.errors[index]?.push(error);
    throw error;
  }

  readonly onRestart = (error: unknown, count: number): void => {
    this.restarts.push({ error, count, at: Date.now() });
    this.#steps.point();
  };
}

/** How many restarts count when restart number `index` is decided on, that one included. */
function counted(stage: Stage, index: number, at: number, { window }: Limits): number {
  return stage.restarts.slice(0, index).filter((restart) => at - restart.at < window).length + 1;
}

function expectLimits(stage: Stage, options: Limits): void {
  const { starts, restarts, errors } = stage;
  expect(stage.overlaps).toBe(0);
  expect([0, 1]).toContain(starts.length - restarts.length);
  for (const [index, { error, count, at }] of restarts.entries()) {
    expect(count).toBe(index + 1);
    expect(error).toBe(errors[index]?.[0]);
    const inWindow = counted(stage, index, at, options);
    expect(inWindow).toBeLessThanOrEqual(options.maxRestarts);
    const next = starts[index + 1];
    if (next === undefined) continue;
    const delay = Math.min(options.maxDelay, options.minDelay * 2 ** (inWindow - 1));
    expect(next - at).toBe((delay * 3) / 4); // what the jitter makes of it when `Math.random` is 0.5
  }
}

function expectOutcome(
  stage: Stage,
  options: Limits,
  outcome: PromiseSettledResult<number>,
  { interrupted }: Steps,
): void {
  const { starts, restarts, errors } = stage;
  const last = errors[starts.length - 1] ?? [];
  const inDelay = starts.length > 0 && restarts.length === starts.length;
  if (!inDelay && last.length > 0) {
    expect(outcome.status === "rejected" && outcome.reason).toBe(last[0]);
    const inWindow = counted(stage, restarts.length, Date.now(), options);
    if (!interrupted) expect(inWindow).toBeGreaterThan(options.maxRestarts);
  } else if (!inDelay && stage.returned !== undefined && !stage.cut) {
    expect(outcome).toEqual({ status: "fulfilled", value: stage.returned });
  } else {
    const reason: unknown = outcome.status === "rejected" ? outcome.reason : undefined;
    expect([interrupted ? stop : itself, itself]).toContain(isCancelled(reason) && reason.cause);
  }
  for (const [first, ...later] of errors) if (first !== undefined) expect(suppressed(first)).toEqual(later);
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  vi.spyOn(Math, "random").mockReturnValue(0.5);
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("supervise() at every step", () => {
  it("restarts within its limits, one run at a time, and not once it is cancelled", () =>
    atEveryStep(20, fc.tuple(runs, limits, endings, fc.boolean()), async (steps, plan) => {
      const [runsPlan, options, ending, taskFirst] = plan;
      const scope = createScope({ onError: () => undefined });
      const stage = new Stage(steps, runsPlan);
      const tasks: Task<number>[] = [];
      let begun: readonly number[] | undefined;
      steps.interrupt = () => {
        if (taskFirst) tasks[0]?.cancel(stop);
        endScope(scope, ending);
        begun = [stage.starts.length, stage.restarts.length];
        // No delay goes on: a timer is left only where somebody cleans up.
        expect(stage.alive === 0 ? vi.getTimerCount() : 0).toBe(0);
      };
      steps.point();
      if (scope.state === "closed" && ending === "is closed") return;
      const task = supervise(scope, stage.worker, { ...options, onRestart: stage.onRestart });
      tasks.push(task);
      const outcome = await steps.play(task);
      expectLimits(stage, options);
      expectOutcome(stage, options, outcome, steps);
      expect([stage.starts.length, stage.restarts.length]).toEqual(begun ?? expect.anything());
      const failed = outcome.status === "rejected" && task.status === "failed";
      expect(scope.errors.filter((error) => error !== stop)).toEqual(failed ? [outcome.reason] : []);
      await expectNothingLeft(steps, scope);
    }));
});
