import { BoughError } from "../../errors/bough-error.js";
import { describe } from "../../errors/describe.js";
import { refuseOptions, requireFunction, wrongType } from "../../errors/validate.js";
import { delay } from "../clock/real-time.js";
import { collectGarbage } from "./collect-garbage.js";
import { BoughHeapProbe, findRetainers } from "./retainers.js";

/** Pauses in ms between attempts: a pending timer or I/O may soon release its references. */
const PAUSES = [0, 1, 10, 50, 100];

/** Thrown when an object is still alive that should be garbage. */
export class RetainedError extends BoughError {
  /** The path from a root of the garbage collector to the object. Empty if it could not be found. */
  readonly retainers: readonly string[];

  /** @param site - The line to look at: the stack begins with it, so that a test runner shows it. */
  constructor(message: string, retainers: readonly string[], site?: string) {
    super("BOUGH_RETAINED", message);
    this.retainers = retainers;
    const own = this.stack ?? ""; // read in any case: an unread stack keeps its receivers alive
    if (site === undefined) return;
    const frames = own.split("\n").filter((line) => line.startsWith("    at "));
    this.stack = [`${this.name}: ${message}`, `    at ${site}`, ...frames].join("\n");
  }

  static {
    this.prototype.name = "RetainedError";
  }
}

/**
 * Calls `make`, drops the result, and verifies that the result is then collected.
 *
 * If it isn't, the error names the path that keeps it: the references from a root of the garbage collector down to it.
 * For that it takes a heap snapshot, which stops the process for some seconds. This needs the package
 * `@memlab/heap-analysis`, an optional peer dependency. Without it, the error says how to install it.
 *
 * @param make - Makes the object, or a promise for it. It must not be an arrow that keeps it in an outer variable.
 * @throws {RetainedError} If the object is still alive (as a rejection).
 * @throws {TypeError} If `make` is not a function or does not return an object (as a rejection).
 * @example
 * ```ts
 * await expectCollected(() => {
 *   const scope = createScope({ onOrphan: "ignore" });
 *   spawn(scope, (task) => sleep(task, 60_000)); // a running task does not keep its owner's handle
 *   return scope;
 * });
 * ```
 */
export function expectCollected(make: () => object): Promise<void>;
export async function expectCollected(make: () => object, extra?: unknown): Promise<void> {
  refuseOptions("expectCollected", extra);
  requireFunction("expectCollected", "make", make);
  const { probe, name } = await probeFor(make);
  for (const pause of PAUSES) {
    if (pause > 0) await delay(pause);
    await collectGarbage();
    if (probe.ref.deref() === undefined) return;
  }
  const [retainers = ""] = await findRetainers([probe]);
  // The snapshot collects garbage, too: objects that it did not find are gone.
  if (retainers === "collected") return;
  const head = `${name} is still alive after it was dropped and garbage was collected.`;
  if (typeof retainers === "string") throw new RetainedError(`${head}\n${retainers}`, []);
  const { path, site, partner } = retainers;
  const lines = path.map((line) => `\n  ${line}`).join("");
  const pair =
    partner === undefined
      ? ""
      : `\nIt and the handle of scope ${JSON.stringify(partner)} hold each other, each from inside of its scope: neither is ever collected.`;
  throw new RetainedError(`${head}${pair}\nWhat keeps it, from the root down:${lines}`, path, site);
}

/** A separate function, whose frame is gone when the garbage is collected. */
async function probeFor(make: () => object): Promise<{ probe: BoughHeapProbe; name: string }> {
  const made = make();
  const target: unknown = made instanceof Promise ? await made : made;
  if ((typeof target !== "object" && typeof target !== "function") || target === null) {
    throw wrongType("expectCollected", "make must return an object", target);
  }
  return { probe: new BoughHeapProbe(target), name: describe(target) };
}
