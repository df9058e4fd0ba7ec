import type { TaskInfo } from "../errors/scope-errors.js";
import { elapsed } from "../kernel/monotonic-clock.js";
import { publishStuck } from "../kernel/diagnostics.js";
import { cancel } from "../kernel/lifecycle.js";
import type { ScopeNode } from "../kernel/node.js";
import { wait } from "../kernel/outcome.js";
import { realIntervals, realTimers } from "../kernel/platform.js";
import { isClosed } from "../kernel/state.js";
import type { ShutdownOptions, ShutdownReport } from "../http/server-handle.js";
import {
  isBusy,
  MAX_FLUSH,
  MIN_CLEANUP,
  shutDownOnce,
  stuckIn,
  wasStoppedWith,
  whenSettled,
} from "../http/shutdown-steps.js";
import { untilCancelled, settlesWithin } from "../http/timed-waits.js";
import type { WebRecord } from "./exchange.js";
import type { WebServer } from "./web-server.js";

// The shutdown of a `fetchBough`, in its order:
//
//   announce   `draining`, `drainSignal` and the `onShutdown` callbacks; then `drainDelay` passes
//   drain      running requests and jobs get `grace` ms. Whether new requests arrive is up to the host, which listens
//   cancel     the scope, with kind "shutdown", and so every request and job; they get `grace` ms, 1,000 at least
//   answer     503 for requests whose handlers have not answered; bodies that have begun are broken off; the report names
//              the stuck tasks
//
// It ends as soon as nothing is left to wait for. A scope that is cancelled by other means starts at "cancel".

/** How often to look whether everything has been answered, in ms. */
const CHECK_INTERVAL = 50;

/** Shuts down, once; see `ServerScope.shutdown`. */
export function shutDown(server: WebServer, options?: ShutdownOptions): Promise<ShutdownReport> {
  return shutDownOnce(server, options, (grace, drainDelay) => new Shutdown(server).run(grace, drainDelay));
}

class Shutdown {
  readonly #server: WebServer;
  /** The requests whose bodies were broken off, also by sources that failed because of the shutdown. */
  readonly #cutOff = new Set<WebRecord>();
  /** Called at the next end of a request. */
  readonly #onNextEnd: (() => void)[] = [];

  constructor(server: WebServer) {
    this.#server = server;
    server.onRequestDone = (record) => {
      if (record?.isCutOff === true && wasStoppedWith(server.node, record.node)) this.#cutOff.add(record);
      for (const resolve of this.#onNextEnd.splice(0)) resolve();
    };
  }

  async run(grace: number, drainDelay: number): Promise<ShutdownReport> {
    const server = this.#server;
    const { node } = server;
    const began = elapsed();
    server.openAll();
    const atStart = server.records.length;
    const delay = drainDelay > 0 && !node.cancelled ? untilCancelled(node, drainDelay) : undefined;
    server.drained = this.#drained(delay);
    if (delay !== undefined) await delay;
    let cancelled = 0;
    let stuck: readonly TaskInfo[] = [];
    const finished = this.#finish();
    const cancelledMeanwhile = new Promise<false>((resolve) => node.onCancel(() => resolve(false)));
    if (node.cancelled || !(await Promise.race([settlesWithin(grace, finished), cancelledMeanwhile]))) {
      cancelled = countAlive(node);
      cancel(node, "shutdown", undefined);
      const allAnswered = this.#allAnswered();
      if (
        !(await settlesWithin(Math.max(grace, MIN_CLEANUP), Promise.race([finished, allAnswered.promise])))
      ) {
        stuck = stuckIn(node, server.records);
        if (stuck.length > 0) publishStuck(node, stuck);
        this.#force();
      }
      allAnswered.stop();
      await settlesWithin(MAX_FLUSH, this.#answersGiven(), realTimers);
    }
    if (isClosed(node)) await wait(node, "close", this).promise; // rejects with a failed cleanup
    return {
      running: atStart,
      cancelled,
      stuck,
      cutOff: this.#cutOff.size,
      duration: Math.round(elapsed() - began),
    };
  }

  /** Resolves when no request is left. */
  async #drained(delay: Promise<void> | undefined): Promise<void> {
    if (delay !== undefined) await delay;
    while (this.#server.records.length > 0) await this.#nextEnd();
  }

  /** Resolves when no request is left, and then everything in the scope has settled. */
  async #finish(): Promise<void> {
    await this.#server.drained;
    await whenSettled(this.#server.node, this); // `run` passes a failure on, at the end
  }

  /** Resolves when every answer has been ended and no task is left. */
  #allAnswered(): { readonly promise: Promise<void>; readonly stop: () => void } {
    let timer: ReturnType<typeof realIntervals.setInterval> | undefined;
    const promise = new Promise<void>((resolve) => {
      timer = realIntervals.setInterval(() => {
        const { node, records } = this.#server;
        if (records.every(({ response }) => response.hasEnded) && !isBusy(node)) resolve();
      }, CHECK_INTERVAL);
    });
    return { promise, stop: () => realIntervals.clearInterval(timer) };
  }

  /** Resolves when the application has made the last answers in the place of handlers. */
  async #answersGiven(): Promise<void> {
    while (this.#server.records.some(({ isAnswering }) => isAnswering)) await this.#nextEnd();
  }

  #nextEnd(): Promise<void> {
    return new Promise((resolve) => this.#onNextEnd.push(resolve));
  }

  /** Answers every request that has no answer yet, and breaks off those whose answer has begun. */
  #force(): void {
    for (const record of this.#server.records)
      if (!record.response.hasEnded && !record.answer(503)) this.#cutOff.add(record);
  }
}

/** How many requests and jobs run. */
function countAlive(node: ScopeNode): number {
  let count = 0;
  for (let child = node.first; child !== undefined; child = child.next) count += 1;
  return count;
}
