import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeHeapSnapshot } from "node:v8";
import { turn } from "../clock/real-time.js";
import { HeapWalk, property, referenceOf, textOf, type Heap, type HeapNode } from "./heap-walk.js";
import { retainersOf, type Retainers } from "./retaining-path.js";

const PACKAGE = "@memlab/heap-analysis";
/** It depends on a package that downloads a browser, which is not used here. */
const HOW_TO_INSTALL =
  "To see what keeps it, install the package that reads heap snapshots: " +
  `PUPPETEER_SKIP_DOWNLOAD=1 npm install --save-dev ${PACKAGE}`;
/** The events that the package listens to once loaded: it would end the process, and write to stdout at its end. */
const EVENTS = ["exit", "SIGINT", "SIGUSR1", "SIGUSR2"] as NodeJS.Signals[];

interface HeapAnalysis {
  getFullHeapFromFile(file: string): Promise<Heap>;
}

/** A weak reference to an object to look for. The snapshot contains it under the unique name of this class. */
export class BoughHeapProbe {
  static #made = 0;

  readonly ref: WeakRef<object>;
  readonly label: string = `probe ${(BoughHeapProbe.#made += 1)}`;

  constructor(target: object) {
    this.ref = new WeakRef(target);
  }
}

/**
 * For each target of `probes`: the path that keeps it alive, `"collected"`, or a sentence that explains why the path is
 * unknown.
 *
 * @param load - Loads the package that reads heap snapshots, if it is installed.
 */
export async function findRetainers(
  probes: readonly BoughHeapProbe[],
  load: () => Promise<HeapAnalysis | undefined> = loadAnalysis,
): Promise<(Retainers | string)[]> {
  const analysis = await load();
  if (analysis === undefined) return probes.map(() => HOW_TO_INSTALL);
  await turn(); // reading the WeakRef has kept the target alive for the rest of that job
  const folder = mkdtempSync(join(tmpdir(), "bough-heap-"));
  try {
    const heap = await withoutOutput(() =>
      analysis.getFullHeapFromFile(writeHeapSnapshot(join(folder, "heap.heapsnapshot"))),
    );
    const walk = new HeapWalk(heap);
    return probes.map((probe) => findIn(heap, walk, probe));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function findIn(heap: Heap, walk: HeapWalk, probe: BoughHeapProbe): Retainers | string {
  const target = targetOf(heap, probe);
  if (target === undefined) return "collected";
  const retainers = retainersOf(heap, walk, target);
  if (retainers.path.length > 0) return retainers;
  return "The reference that keeps it is not in the heap: a frame on the stack, or the engine.";
}

async function loadAnalysis(): Promise<HeapAnalysis | undefined> {
  const before = EVENTS.map((event) => new Set<unknown>(process.listeners(event)));
  try {
    return (await import(PACKAGE)) as HeapAnalysis;
  } catch (error) {
    if ((error as { code?: unknown }).code === "ERR_MODULE_NOT_FOUND" || !canResolve()) return undefined;
    throw error;
  } finally {
    for (const [index, event] of EVENTS.entries()) {
      for (const listener of process.listeners(event)) {
        if (before[index]?.has(listener) === false) process.off(event, listener);
      }
    }
  }
}

function canResolve(): boolean {
  try {
    return createRequire(import.meta.url).resolve(PACKAGE) !== "";
  } catch {
    return false;
  }
}

/** It reports its progress on stdout, unless its configuration, which is a package itself, says otherwise. */
async function withoutOutput<T>(body: () => Promise<T>): Promise<T> {
  const require = createRequire(createRequire(import.meta.url).resolve(PACKAGE));
  const { config } = require("@memlab/core") as { config: { muteConsole: boolean } };
  const before = config.muteConsole;
  config.muteConsole = true;
  try {
    return await body();
  } finally {
    config.muteConsole = before;
  }
}

/** The target of `probe`; `undefined` if it is gone. */
function targetOf({ nodes }: Heap, { label }: BoughHeapProbe): HeapNode | undefined {
  let target: HeapNode | undefined;
  nodes.forEach((node) => {
    if (node.name !== BoughHeapProbe.name || node.type !== "object") return;
    if (textOf(property(node, "label")) !== label) return;
    const ref = property(node, "ref");
    if (ref?.name === "WeakRef") target ??= referenceOf(ref, (edge) => edge.type === "weak");
  });
  return target;
}
