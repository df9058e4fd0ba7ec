import type { ScopeOptions } from "../../src/index.js";

/** Watches one handle: whether it was collected, and whether its scope was cancelled for it. */
export class Probe {
  #handle: WeakRef<object> | undefined;
  #orphaned = 0;
  readonly options: ScopeOptions;

  constructor(name: string) {
    this.options = { name, onOrphan: () => (this.#orphaned += 1) };
  }

  /** Says which object is the handle; returns nothing, so that no caller holds it by chance. */
  watch(handle: object): void {
    this.#handle = new WeakRef(handle);
  }

  get collected(): boolean {
    return this.#handle?.deref() === undefined;
  }

  get orphaned(): number {
    return this.#orphaned;
  }
}

/** One row of the tables in docs/orphans.md. */
export interface Case {
  /** The first cell of the row. */
  readonly row: string;
  /**
   * Makes a handle, shows it to the probe, and drops it. What it returns is kept, and with it all it reaches. A row that
   * names several ways goes through them, copy by copy.
   */
  readonly run: (probe: Probe, copy: number) => unknown;
  /** It needs modules of Node's, which a browser does not have. */
  readonly needsNode?: true;
  /** False if it was closed before. */
  readonly orphaned?: false;
  /** Where it is the other way round. */
  readonly unlike?: "bun" | "deno";
}

/** One row of what is not collected. */
export interface PinnedCase extends Case {
  /** The end of the path that keeps the handle, as `expectCollected` tells it. */
  readonly keptBy: RegExp;
}

export type Host = "node" | "bun" | "deno" | "browser";

interface Engine {
  gc?: () => void;
  Deno?: object;
  Bun?: { gc: (sync: boolean) => void };
  process?: { versions?: Record<string, string> };
}

const engine = globalThis as Engine;
export const host: Host = findHost();

function findHost(): Host {
  if (engine.Bun !== undefined) return "bun";
  if (engine.Deno !== undefined) return "deno";
  return engine.process?.versions?.["node"] === undefined ? "browser" : "node";
}

async function findCollector(): Promise<() => void> {
  const { Bun, gc } = engine;
  if (Bun !== undefined) return () => Bun.gc(true);
  if (gc !== undefined) return gc;
  const [v8, vm] = await Promise.all([import("node:v8"), import("node:vm")]);
  v8.setFlagsFromString("--expose-gc");
  return vm.runInNewContext("gc") as () => void;
}

let collector: (() => void) | undefined;

/** One collection, and time for what waited for it. */
export async function collect(): Promise<void> {
  collector ??= await findCollector();
  await macrotask();
  collector();
  await macrotask();
}

export function macrotask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

/** Collects until `done`, a limited number of times. */
export async function collectUntil(done: () => boolean, rounds = 12): Promise<boolean> {
  for (let round = 0; round < rounds && !done(); round++) await collect();
  return done();
}
