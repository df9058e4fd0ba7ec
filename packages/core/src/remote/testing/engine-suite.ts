import { basicCases } from "./cases-basic.js";
import { detachedCases } from "./cases-detached.js";
import { serverCases } from "./cases-server.js";
import { faultCases } from "./cases-faults.js";
import { Harness, type CaseDraft, type EngineSubject } from "./harness.js";

/** One case of {@link engineSuite}, for any test runner. */
export interface EngineCase {
  /** The behaviour that the case checks, as a sentence. */
  readonly name: string;
  /** Why it can't run: the faults that the subject can't make. `undefined` if it can. */
  readonly skipped: string | undefined;
  /** Rejects if the engine fails the case. */
  readonly run: () => Promise<void>;
}

/**
 * The cases that an adapter has to pass: jobs, cancellations, leases and faults, against the engine that it is for.
 * Each is independent of the others and uses its own queues.
 *
 * @param subject - Makes the engine, and breaks it. Cases whose fault it can't make are marked as skipped.
 * @returns The cases, to be run by your test runner.
 * @example With vitest
 * ```ts
 * const engine = memoryEngine();
 * const cases = engineSuite({
 *   engine: (process) => engine.as(process),
 *   cut: (process) => engine.cut("hang", process),
 * });
 * for (const { name, skipped, run } of cases.slice(0, 2)) {
 *   if (skipped === undefined) await run(); // it.skipIf(skipped !== undefined)(name, run)
 *   console.log(name);
 * }
 * ```
 */
export function engineSuite(subject: EngineSubject): EngineCase[] {
  return [...basicCases, ...detachedCases, ...faultCases, ...serverCases].map((draft) => ({
    name: draft.name,
    skipped: whySkipped(draft, subject),
    run: () => run(draft, subject),
  }));
}

function whySkipped({ needs = [] }: CaseDraft, subject: EngineSubject): string | undefined {
  const missing = needs.filter((fault) => subject[fault] === undefined);
  return missing.length === 0 ? undefined : `the subject has no ${missing.join(", ")}`;
}

async function run(draft: CaseDraft, subject: EngineSubject): Promise<void> {
  const harness = new Harness(subject);
  try {
    await draft.run(harness);
  } finally {
    await harness.end();
  }
}
