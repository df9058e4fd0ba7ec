import type { Server as HttpServer } from "node:http";
import type { Server } from "node:net";
import type { TaskInfo } from "../errors/scope-errors.js";
import { publishStuck } from "../kernel/diagnostics.js";
import { elapsed } from "../kernel/monotonic-clock.js";
import { isClosed } from "../kernel/state.js";
import { realIntervals, realTimers } from "../kernel/platform.js";
import { cancel } from "../kernel/lifecycle.js";
import { wait } from "../kernel/outcome.js";
import { stopUpload } from "./node-responder.js";
import { connectionsOf, stopListening, waitForBinding, type Connections } from "./connections.js";
import { openRequest } from "./open-request.js";
import { RequestRecord } from "./request.js";
import { recordOf } from "./request-records.js";
import type { ShutdownOptions, ShutdownReport } from "./server-handle.js";
import type { ServerState } from "./server-state.js";
import {
  isBusy,
  MAX_FLUSH,
  MIN_CLEANUP,
  reportOf,
  shutDownOnce,
  StopHook,
  stuckIn,
  wasStoppedWith,
  whenSettled,
} from "./shutdown-steps.js";
import { hasEnded, isResponse } from "./messages.js";
import { untilCancelled, settlesWithin } from "./timed-waits.js";

// The shutdown of a server, in its order:
//
//   announce   `draining`, `drainSignal` and the `onShutdown` callbacks; then `drainDelay` passes, and requests are taken
//   drain      the server stops listening; running requests and jobs get `grace` ms. Sweeps, every 100 ms, close idle,
//              silent and answered connections
//   cancel     the server's scope, with kind "shutdown", and so every request and job; they get `grace` ms, 1,000 at least
//   answer     503 for requests whose handlers have not begun to answer; answers that have begun are broken off; the report
//              names the stuck tasks
//   close      500 ms for the last answers to be sent; then the remaining connections
//
// It goes on to "close" as soon as nothing is left to wait for. A scope that is cancelled by other means starts at "cancel".

/**
 * The time between two sweeps, in ms. It is also how long requests in transit are accepted after the server stopped
 * listening.
 */
const SWEEP_INTERVAL = 100;
/** A connection that sends no byte during this many sweeps is closed: it has sent no request, or half of one. */
const SILENT_SWEEPS = 3;
/** A connection that sends bytes but no complete request is closed after this many sweeps. */
const MAX_SWEEPS = 10;

/** Shuts `server` down, once; see `ServerScope.shutdown`. */
export function shutDown(
  server: Server,
  state: ServerState,
  options?: ShutdownOptions,
): Promise<ShutdownReport> {
  return shutDownOnce(state, options, (grace, drainDelay) => {
    // A server that does not listen needs no drain delay.
    const listens = server.listening || connectionsOf(server).isBinding;
    const down = new Shutdown(server, state, listens ? drainDelay : 0).run(grace);
    // A second call after the end, for example by `main` and then by the program, returns the first report.
    const before = state.previousState === undefined ? undefined : reportOf(state.previousState);
    if (before !== undefined && !listens) return down.then(() => before);
    state.previousState = undefined;
    return down;
  });
}

/** One shutdown of one server. */
class Shutdown {
  readonly #server: Server;
  readonly #state: ServerState;
  /** Resolves when the connections are closed. */
  readonly #closed: Promise<void>;
  /** The `drainDelay`, if there is one. */
  readonly #delay: Promise<void> | undefined;
  #isClosed = false;
  /** The responses and streams that were cut off, also by handlers that failed because of the shutdown. */
  readonly #cutOff = new Set<object>();
  #markClosed: () => void = () => undefined;
  #sweeps = 0;
  /** Called by each sweep while the shutdown waits for the last answers to be ended. */
  #checkAnswers: (() => void) | undefined;
  /** Called at the next end of a request. */
  readonly #onNextEnd: (() => void)[] = [];

  constructor(server: Server, state: ServerState, drainDelay: number) {
    this.#server = server;
    this.#state = state;
    // Not in a cancelled scope: its grace period is running.
    if (drainDelay > 0 && !state.node.cancelled) this.#delay = untilCancelled(state.node, drainDelay);
    this.#closed = state.drained = this.#close();
    state.onRequestDone = ({ isCutOff, node, response }) => {
      if (isCutOff && wasStoppedWith(state.node, node)) this.#cutOff.add(response);
      for (const resolve of this.#onNextEnd.splice(0)) resolve();
    };
  }

  async run(grace: number): Promise<ShutdownReport> {
    const state = this.#state;
    const { node } = state;
    const began = elapsed();
    state.adopt(this.#connections);
    const atStart = this.#countRequests();
    if (this.#delay !== undefined) await this.#delay;
    state.closeConnections();
    const sweeper = realIntervals.setInterval(() => this.#sweep(), SWEEP_INTERVAL);
    let cancelled = 0;
    let stuck: readonly TaskInfo[] = [];
    try {
      const finished = this.#finish();
      const cancelledMeanwhile = new Promise<false>((resolve) => node.onCancel(() => resolve(false)));
      if (node.cancelled || !(await Promise.race([settlesWithin(grace, finished), cancelledMeanwhile]))) {
        this.#records(); // opens a scope for every open request, so that the cancellation reaches its handler
        cancelled = countAlive(state);
        cancel(node, "shutdown", undefined);
        this.#sweep();
        if (
          !(await settlesWithin(Math.max(grace, MIN_CLEANUP), Promise.race([finished, this.#allAnswered()])))
        ) {
          stuck = stuckIn(node, this.#records());
          if (stuck.length > 0) publishStuck(node, stuck);
          this.#force();
        }
        await settlesWithin(MAX_FLUSH, this.#answersSent(), realTimers);
      }
    } finally {
      realIntervals.clearInterval(sweeper);
      this.#dropConnections();
    }
    if (isClosed(node)) await wait(node, "close", this).promise; // rejects with a failed cleanup
    const duration = Math.round(elapsed() - began);
    return { running: atStart, cancelled, stuck, cutOff: this.#cutOff.size, duration };
  }

  get #connections(): Connections {
    return connectionsOf(this.#server);
  }

  /** Stops listening. Resolves when all connections are closed, or all requests answered if the policy is "leave". */
  async #close(): Promise<void> {
    if (this.#delay !== undefined) await this.#delay;
    if (this.#state.connectionPolicy === "leave") {
      while (this.#countRequests() > 0)
        await new Promise((resolve) => realTimers.setTimeout(resolve, SWEEP_INTERVAL));
    } else {
      const bound = waitForBinding(this.#server);
      if (bound !== undefined && (await bound)) await this.#state.afterListen?.();
      const lingers = this.#state.connectionPolicy === "drain";
      await new Promise<void>((resolve) => {
        this.#markClosed = resolve;
        stopListening(this.#server, lingers ? this.#state.sessions : undefined, resolve);
      });
    }
    this.#isClosed = true;
  }

  /** How many requests are open. */
  #countRequests(): number {
    const responses = new Set<object>(this.#state.openRequests().map(({ response }) => response));
    for (const { response } of this.#state.records) responses.add(response);
    return responses.size + this.#connections.streams.size;
  }

  /** Resolves when every connection is closed, and then everything in the scope has settled. */
  async #finish(): Promise<void> {
    const state = this.#state;
    await this.#closed;
    while (state.records.length > 0) await this.#nextEnd();
    await whenSettled(state.node, this); // `run` reports a failure at the end
  }

  /** Closes connections that are idle, silent or answered. */
  #sweep(): void {
    this.#checkAnswers?.();
    if (this.#isClosed || this.#state.connectionPolicy === "leave") return;
    const state = this.#state;
    const connections = this.#connections;
    state.adopt(connections);
    state.closeConnections();
    for (const { response } of state.openRequests()) stopUpload(response);
    (this.#server as Partial<HttpServer>).closeIdleConnections?.();
    this.#sweeps += 1;
    const busy = this.#busySessions();
    let isLeft = false;
    for (const connection of connections) {
      const isSilent = connection.isSilentFor(SILENT_SWEEPS) || this.#sweeps >= MAX_SWEEPS;
      if (connection.isUpgraded && !busy.has(connection.session)) continue;
      isLeft = true;
      if (isSilent && !connection.isInUse) connection.destroy();
    }
    // Only upgraded connections without a scope remain. They may stay open for ever.
    if (!isLeft && connections.isComplete && this.#countRequests() === 0) this.#markClosed();
  }

  /** The HTTP/2 sessions with a request that is being answered. */
  #busySessions(): Set<unknown> {
    const busy = new Set<unknown>();
    for (const { session } of this.#connections.streams) busy.add(session);
    for (const { request } of this.#state.openRequests())
      busy.add((request as { stream?: { session?: unknown } }).stream?.session);
    busy.delete(undefined);
    return busy;
  }

  /** Resolves when every answer has been ended and no task is left. */
  #allAnswered(): Promise<void> {
    return new Promise((resolve) => {
      this.#checkAnswers = () => {
        const ended = this.#records().map(({ response }) => hasEnded(response));
        for (const { writableEnded } of this.#connections.streams) ended.push(writableEnded);
        if (!ended.includes(false) && !isBusy(this.#state.node)) resolve();
      };
    });
  }

  /** Resolves when the answers that have been ended are sent. */
  async #answersSent(): Promise<void> {
    await this.#closed;
    while (this.#state.records.some(({ isAnswering }) => isAnswering)) await this.#nextEnd();
  }

  #nextEnd(): Promise<void> {
    return new Promise((resolve) => this.#onNextEnd.push(resolve));
  }

  /** Answers every request without an answer, and cuts off the answers that have begun. */
  #force(): void {
    for (const record of this.#records()) {
      if (hasEnded(record.response) || record.answer(503)) continue;
      if (isResponse(record.response)) this.#cutOff.add(record.response);
    }
    for (const stream of this.#connections.streams) {
      if (stream.writableEnded) continue;
      if (!stream.headersSent) stream.respond({ ":status": 503 }, { endStream: true });
      else {
        this.#cutOff.add(stream);
        // Not by `close(code)`, which ends the stream first, as if the answer were complete.
        stream.on("error", () => undefined).destroy(this.#state.node.reason);
      }
    }
  }

  #records(): readonly RequestRecord[] {
    const state = this.#state;
    for (const { request, response } of state.openRequests())
      if (recordOf(request) === undefined) openRequest(request, response, state);
    return state.records;
  }

  #dropConnections(): void {
    if (this.#state.connectionPolicy === "leave") return;
    const responses = [...this.#state.openRequests(), ...this.#state.records].map(({ response }) => response);
    for (const response of responses) {
      // An upgraded socket has been destroyed before, if it had a scope.
      if (!isResponse(response) || response.destroyed || !response.headersSent) continue;
      this.#cutOff.add(response);
      if ("destroy" in response) response.destroy();
    }
    for (const stream of this.#connections.streams) if (stream.headersSent) this.#cutOff.add(stream);
    if (this.#connections.isBinding) this.#server.close(() => undefined); // which cancels the `listen()`
    (this.#server as Partial<HttpServer>).closeAllConnections?.();
    for (const connection of this.#connections) if (!connection.isUpgraded) connection.destroy();
  }
}

/** Counts the running requests and jobs of a server, except requests whose answer is being sent. */
function countAlive({ node }: ServerState): number {
  let count = 0;
  for (let child = node.first; child !== undefined; child = child.next) {
    const record = child.observer;
    if (!(record instanceof RequestRecord && child.first === undefined && hasEnded(record.response)))
      count += 1;
  }
  return count;
}

/**
 * Creates the hook that shuts a server down when its scope is cancelled or the process stops. Holds the server weakly.
 */
export function stopHookOf(server: Server, state: ServerState): StopHook {
  const weak = new WeakRef(server);
  return new StopHook(state.node, async (options) => {
    const known = weak.deref();
    if (known !== undefined) await shutDown(known, state, options);
  });
}
