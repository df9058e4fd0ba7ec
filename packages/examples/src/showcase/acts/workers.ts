import { sleep, spawn, type Scope, type SelfCleaning } from "bough";
import { collectGarbage } from "bough/testing";
import type { Act, Check } from "../act.js";
import type { Paint } from "../terminal/paint.js";
import { Census, heapUsed, liveTimers, type Phase } from "../workers/census.js";
import { startMetronome, type Metronome } from "../workers/metronome.js";
import { WorkersView } from "../workers/view.js";

export interface WorkersOptions {
  readonly workers?: number;
  readonly pace?: WorkersPace;
}

/** Milliseconds. */
interface WorkersPace {
  /** From the first worker to the last. */
  readonly growth: number;
  /** How long each phase stays on the screen. */
  readonly phase: number;
}

/** As many as the original starts: see `../../self-cleaning-worker`. */
const WORKERS = 64 * 1024;
const defaultPace: WorkersPace = { growth: 2_500, phase: 800 };
/** At least so many steps on the way to the last worker, with time to draw between them. */
const STEPS = 32;
/** From one step to the next. */
const STEP = 20;

/** Milliseconds until workers that still run count as left over. */
const PATIENCE = 5_000;
/** Heap that may stay: compiled code and grown tables, of which the engine makes little whatever the number of workers. */
const SLACK = { share: 0.05, bytes: 1e6 };

interface Measured {
  readonly alive: number;
  readonly timers: number;
  readonly heap: number;
}

/** Act two: workers by the thousands that stop because nobody holds them any more. */
export function createWorkersAct(paint: Paint, options: WorkersOptions = {}): Act {
  const { workers = WORKERS, pace = defaultPace } = options;
  if (!Number.isInteger(workers) || workers < 1) {
    throw new RangeError(`workers must be a whole number from 1, got ${workers}`);
  }
  const census = new Census();
  const view = new WorkersView(census, paint);
  const measured = new Map<Phase | "before", Measured>();

  return {
    name: "workers",
    title: "Workers that nobody stops",
    introduction: [
      "Objects with a worker and a timer each are made, held, and dropped. Nobody closes them:",
      "the workers stop because a garbage collection, forced here, found that nobody holds",
      "the objects. As in the Go program this began with, which used runtime.SetFinalizer.",
    ],

    async play(scope) {
      // A dropped worker has no owner left who could stop it, should this act be cancelled.
      const end = new AbortController();
      scope.defer(() => end.abort());
      spawn(scope, (scope) => sampleRegularly(scope, census), { name: "sampler", daemon: true });
      const measure = (phase: Phase | "before"): void => {
        measured.set(phase, { alive: census.alive, timers: liveTimers(), heap: heapUsed() });
      };

      census.begin();
      await warmUp(scope);
      measure("before");
      const held: SelfCleaning<Metronome>[] = [];
      await startAll(scope, held, workers, pace.growth, census, end.signal);

      census.phase = "held";
      await collectGarbage();
      measure("held");
      await sleep(scope, pace.phase);

      census.phase = "dropped";
      held.length = 0;
      await sleep(scope, pace.phase);

      census.phase = "collected";
      await collectGarbage();
      await untilStopped(scope, census);
      await collectGarbage(); // what the workers knew
      measure("collected");
      await sleep(scope, pace.phase);
    },

    frame: (size) => view.frame(size),
    line: () => view.line(),
    summary: () => ["", ...view.graphs({ columns: 80, rows: 17 }), ""],
    checks: () => checks(workers, census, measured),
  };
}

/** Lets the engine compile what it will need, and allocate what stays: neither is the workers'. */
async function warmUp(scope: Scope): Promise<void> {
  const census = new Census();
  const end = new AbortController();
  const held: SelfCleaning<Metronome>[] = [];
  await startAll(scope, held, STEPS, 0, census, end.signal);
  end.abort();
  await untilStopped(scope, census);
  held.length = 0;
  await collectGarbage();
}

async function startAll(
  scope: Scope,
  held: SelfCleaning<Metronome>[],
  workers: number,
  growth: number,
  census: Census,
  end: AbortSignal,
): Promise<void> {
  const since = performance.now();
  while (held.length < workers) {
    const due = workers * ((performance.now() - since) / Math.max(growth, 1));
    const goal = Math.min(due, held.length + Math.ceil(workers / STEPS), workers);
    // Between two and four seconds, so that they don't all beat at once.
    while (held.length < goal) held.push(startMetronome(census, 2_000 + (held.length % 2_000), end));
    await sleep(scope, Math.min(STEP, growth));
  }
}

async function sampleRegularly(scope: Scope, census: Census): Promise<void> {
  for (;;) {
    census.sample();
    await sleep(scope, 100);
  }
}

async function untilStopped(scope: Scope, census: Census): Promise<void> {
  const deadline = performance.now() + PATIENCE;
  while (census.alive > 0 && performance.now() < deadline) await sleep(scope, 5);
}

function checks(
  workers: number,
  census: Census,
  measured: ReadonlyMap<Phase | "before", Measured>,
): readonly Check[] {
  const none: Measured = { alive: NaN, timers: NaN, heap: NaN };
  const [before = none, held = none, after = none] = (["before", "held", "collected"] as const).map((phase) =>
    measured.get(phase),
  );
  const taken = held.heap - before.heap;
  const left = after.heap - before.heap;
  const isBack = left <= Math.max(taken * SLACK.share, SLACK.bytes);
  const back = `back to where it was, but for at most ${SLACK.share * 100} %`;
  return [
    { claim: "workers started", expected: workers, found: census.started },
    { claim: "alive after a collection while they were held", expected: workers, found: held.alive },
    { claim: "timers they had", expected: workers, found: nearly(workers, held.timers - before.timers) },
    { claim: "alive after they were dropped and collected", expected: 0, found: after.alive },
    { claim: "timers left", expected: 0, found: nearly(0, after.timers - before.timers) },
    { claim: "heap", expected: back, found: isBack ? back : `${left} bytes more than before` },
  ];
}

/** Screen and sampler have a few timers of their own. */
function nearly(expected: number, found: number): number {
  return Math.abs(found - expected) < 8 ? expected : found;
}
