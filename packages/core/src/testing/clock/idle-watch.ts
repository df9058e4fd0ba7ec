import { AsyncResource, createHook, executionAsyncResource, type AsyncHook } from "node:async_hooks";
import { performance } from "node:perf_hooks";
import { now, turn } from "./real-time.js";
import { RealResources } from "./real-resources.js";

/**
 * Work in a thread of libuv's pool, by the names of `async_hooks`: files, look-ups of names, cryptography. It reports
 * its end, and needs no other process for it. Other work, such as a pending connection, may never end. zlib is missing,
 * since its requests have no resource that ends.
 */
const poolWork: ReadonlySet<string> = new Set([
  "FSREQCALLBACK",
  "FSREQPROMISE",
  "FILEHANDLECLOSEREQ",
  "GETADDRINFOREQWRAP",
  "GETNAMEINFOREQWRAP",
  "ARGON2REQUEST",
  "CHECKPRIMEREQUEST",
  "CIPHERREQUEST",
  "DERIVEBITSREQUEST",
  "HASHREQUEST",
  "KEYEXPORTREQUEST",
  "KEYGENREQUEST",
  "KEYPAIRGENREQUEST",
  "PBKDF2REQUEST",
  "RANDOMBYTESREQUEST",
  "RANDOMPRIMEREQUEST",
  "SCRYPTREQUEST",
  "SIGNREQUEST",
  "VERIFYREQUEST",
]);

/** Resources whose callbacks run without an event from outside the process. */
const scheduledByProcess: ReadonlySet<string> = new Set([
  "PROMISE",
  "TickObject",
  "Microtask",
  "Immediate",
  "Timeout",
]);

/**
 * How many turns of the event loop must pass without real events. One turn polls for I/O, whose result may need the
 * next.
 */
const TURNS = 5;

/**
 * Up to this many events that call no JavaScript, or fewer for up to this many ms, count as work in progress, such as a
 * TLS handshake. More are V8's own: it wakes the loop up once a turn while it collects garbage or compiles for a loop
 * that computes.
 */
const SILENT_EVENTS = 30;
const SILENT_MS = 200;

interface Pending {
  readonly type: string;
  readonly since: number;
}

interface LoopTiming {
  readonly uvMetricsInfo?: { readonly events: number };
}

/** Detects whether real work, as opposed to a virtual timer, is pending in this process. */
export class IdleWatch {
  readonly #quiet: number;
  /** The requests of {@link poolWork} that have not come back, by their id. */
  readonly #requests = new Map<number, Pending>();
  /** Ids of real resources above {@link first}. Older resources are real, too, except timers. */
  readonly #real = new Set<number>();
  readonly #first = new AsyncResource("BoughClock").asyncId();
  readonly #hook: AsyncHook;
  #events = eventCount();
  /** Whether a real resource has called back since the last check. */
  #called = false;
  #silent = 0;
  /** When a real resource was last created or called back. */
  #lastReal = now();
  /** Real resources that were made since, to name them. */
  readonly resources: RealResources = new RealResources();

  /** @param quiet - How long nothing real may happen before the process counts as idle, in real ms. */
  constructor(quiet: number) {
    this.#quiet = quiet;
    const init = (id: number, type: string, _: number, resource: object): void => {
      // A library can give its AsyncResource any name, and one of Node's means nothing then.
      if (scheduledByProcess.has(type) ? type !== "Timeout" : resource instanceof AsyncResource) return;
      this.resources.add(id, type, resource, init);
      if (type === "Timeout") return;
      this.#real.add(id);
      this.#silent = 0;
      this.#lastReal = now();
      if (poolWork.has(type)) this.#requests.set(id, { type, since: now() });
    };
    const before = (id: number): void => {
      if (id > this.#first ? !this.#real.has(id) : isScheduledByProcess(executionAsyncResource())) return;
      this.#called = true;
      this.#requests.delete(id);
    };
    const destroy = (id: number): void => {
      this.#requests.delete(id);
      this.#real.delete(id);
      this.resources.delete(id);
    };
    // Newer Nodes can leave promises out, which saves most of the cost; older ones ignore the option.
    const options = { init, before, destroy, trackPromises: false };
    this.#hook = createHook(options).enable();
    this.resources.start();
  }

  stop(): void {
    this.#hook.disable();
    this.resources.stop();
  }

  /** Work that surely ends, unless its input never comes: from a named pipe, a name server, a network drive. */
  get pending(): readonly string[] {
    return [...this.#requests.values()].map(({ type }) => type);
  }

  /** Whether one request has been pending for `limit` real ms. */
  hasStuck(limit: number): boolean {
    const [oldest] = this.#requests.values();
    return oldest !== undefined && now() - oldest.since >= limit;
  }

  /** Whether anything has happened since the last call, or is known to be under way. */
  isBusy(): boolean {
    return this.hasHappened() || this.#requests.size > 0;
  }

  /** Whether anything has happened since the last call. */
  hasHappened(): boolean {
    const events = eventCount();
    const changed = events !== this.#events;
    this.#events = events;
    if (!changed) return false;
    if (this.#called) {
      this.#called = false;
      this.#silent = 0;
      this.#lastReal = now();
      return true;
    }
    const silent = ++this.#silent;
    return silent <= SILENT_EVENTS && (silent < TURNS || now() - this.#lastReal < SILENT_MS);
  }

  /**
   * Resolves with `true` when no microtask and no I/O is pending. Resolves with `false` if that takes longer than
   * `limit` real ms, or when `isOver` returns true.
   */
  async idle(limit: number, isOver: () => boolean): Promise<boolean> {
    const start = now();
    let since = start;
    for (let turns = 0; turns < TURNS || now() - since < this.#quiet; turns++) {
      await turn();
      if (isOver()) return false;
      if (!this.isBusy()) continue;
      turns = 0;
      since = now();
      if (since - start >= limit) return false;
    }
    return true;
  }
}

/** Whether a resource from before the clock calls back without anything having happened outside. */
function isScheduledByProcess(resource: object): boolean {
  const { name } = (resource.constructor as { name?: string } | undefined) ?? {};
  return (
    resource instanceof AsyncResource ||
    /^(?:Object|Promise|PromiseWrap|Timeout|Immediate)$/.test(name ?? "Object")
  );
}

/** How many events the loop has handled, sockets and signals and threads alike; Node only. */
function eventCount(): number {
  return (performance.nodeTiming as LoopTiming | undefined)?.uvMetricsInfo?.events ?? 0;
}
