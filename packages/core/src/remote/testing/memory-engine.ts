import { calendarNow } from "../../kernel/platform.js";
import type { Scope } from "../../kernel/scope.js";
import type { Engine, EngineConnection } from "../engine.js";
import { monotonicNow } from "../time.js";
import { MemoryConnection } from "./memory-connection.js";
import type { CutMode, Faults, HintMode } from "./memory-faults.js";
import { MemoryStore, type StoredJobInfo } from "./memory-store.js";

/** An engine in this process, for tests, with faults. Made by {@link memoryEngine}. */
export interface MemoryEngine extends Engine {
  /** The engine as another process sees it: faults are for one process. The engine itself is the process `""`. */
  as(process: string): Engine;
  /**
   * Cuts a process off, or all of them. Its hints are lost meanwhile.
   *
   * @returns A function that connects it again.
   */
  cut(mode: CutMode, process?: string): () => void;
  /** Sets how hints to a process, or to all processes, are delivered from now on. */
  hints(mode: HintMode, process?: string): void;
  /** The delay of every call, in ms. Default 0: a call takes some microtasks. */
  latency(ms: number): void;
  /** Refuses to write, as a full or read-only server does. */
  readOnly(isReadOnly: boolean): void;
  /** Forgets everything that came in the last `ms`, as a failover to a replica may. Default: everything. */
  lose(ms?: number): void;
  /** Sets the engine's clock forward, or back. */
  stepClock(ms: number): void;
  /** Its data of all jobs that have not ended. */
  readonly unfinished: readonly StoredJobInfo[];
  /** The number of leases of owners that have not ended. */
  readonly leases: number;
}

/**
 * A job engine in the memory of this process, for tests: under `withVirtualClock` a lease of fifteen seconds takes no time.
 * It can lose connections, hints and data. All connections of one engine see the same jobs.
 *
 * @returns The engine.
 * @example A worker that is cut off
 * ```ts
 * const engine = memoryEngine();
 * const worker = engine.as("worker"); // for `serve`
 * const connect = engine.cut("hang", "worker"); // from now on, its calls are never answered
 * connect();
 * console.log(worker.name, engine.unfinished.length); // memory 0
 * ```
 */
export function memoryEngine(): MemoryEngine {
  return new Memory();
}

class Memory implements MemoryEngine {
  readonly name = "memory";
  readonly #faults: Faults = {
    cuts: new Map(),
    hints: new Map(),
    reconnected: new Set(),
    latency: 0,
    isReadOnly: false,
  };
  /** The engine's time minus the monotonic one. */
  #offset = calendarNow() - monotonicNow();
  readonly #store = new MemoryStore(() => Math.floor(monotonicNow() + this.#offset));

  open(scope: Scope): Promise<EngineConnection> {
    return this.as("").open(scope);
  }

  as(process: string): Engine {
    const open = async (scope: Scope): Promise<EngineConnection> => {
      const connection = new MemoryConnection(this.#store, this.#faults, process);
      scope.defer(() => connection.close());
      return Promise.resolve(connection);
    };
    return { name: this.name, open };
  }

  cut(mode: CutMode, process = "*"): () => void {
    const { cuts, reconnected } = this.#faults;
    cuts.set(process, mode);
    return () => {
      cuts.delete(process);
      for (const listener of reconnected) listener();
    };
  }

  hints(mode: HintMode, process = "*"): void {
    this.#faults.hints.set(process, mode);
  }

  latency(ms: number): void {
    this.#faults.latency = ms;
  }

  readOnly(isReadOnly: boolean): void {
    this.#faults.isReadOnly = isReadOnly;
  }

  lose(ms = Infinity): void {
    this.#store.lose(ms);
  }

  stepClock(ms: number): void {
    this.#offset += ms;
  }

  get unfinished(): readonly StoredJobInfo[] {
    return this.#store.unfinished();
  }

  get leases(): number {
    return this.#store.countLeases();
  }
}
