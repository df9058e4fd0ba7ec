import type { Server as HttpServer } from "node:http";
import type { Server } from "node:net";
import type { TaskInfo, WaitingFor } from "../errors/scope-errors.js";
import { foundStuck } from "../kernel/diagnostics.js";
import { elapsed } from "../kernel/age-clock.js";
import { CLOSED, ENDING } from "../kernel/state.js";
import { holdersOf, stuckInfo } from "../kernel/holders.js";
import { realTimers } from "../kernel/platform.js";
import type { ScopeNode } from "../kernel/node.js";
import { advance, cancel } from "../kernel/lifecycle.js";
import { LongTimer } from "../kernel/long-timer.js";
import { wait } from "../kernel/wait.js";
import { stopUpload } from "./node-responder.js";
import { connectionsOf, stopListening, whenBound, type Connections } from "./connections.js";
import { openRequest } from "./open-request.js";
import { recordOf, RequestRecord } from "./request.js";
import { SHUTDOWN, type ServerState } from "./server-state.js";
import { hasEnded, isResponse } from "./messages.js";
import { within } from "./within.js";
import { Hook } from "../kernel/cancel-hooks.js";
import { addServer, removeServer, type StoppableServer } from "../process/servers.js";

/** What `shutdown` takes. */
export interface ShutdownOptions {
  /** Milliseconds that running requests, jobs and answers get. Default: the server's `grace`. */
  readonly grace?: number | undefined;
  /** Milliseconds before the server stops listening, in addition. Default: the server's `drainDelay`. */
  readonly drainDelay?: number | undefined;
}

/** What became of a server's requests when it shut down. */
export interface ShutdownReport {
  /** How many requests were running when the shutdown began. */
  readonly running: number;
  /** How many requests and jobs had to be cancelled because the grace period was over. */
  readonly cancelled: number;
  /** What went on regardless: requests that were answered in their handler's place, and what else has not ended. */
  readonly stuck: readonly TaskInfo[];
  /**
   * How many answers that had begun did not arrive whole: the handler had not ended them, or the client was too slow to
   * take them, when the time was up.
   */
  readonly cutOff: number;
  /** Milliseconds. */
  readonly duration: number;
}

const DEFAULT_GRACE = 10_000;
/** What cancelled work gets for its clean-up, however short the grace period. */
const MIN_CLEANUP = 1_000;
/** How long a connection may still bring the request that was on its way when the server stopped listening. */
const LINGER = 100;
/** How long the last answers may take to be sent when the grace period is over. */
const MAX_FLUSH = 500;
/** After how many sweeps a connection that brings nothing is closed: it never spoke, or stopped in mid-sentence. */
const SILENT_SWEEPS = 3;
/** After how many sweeps it is closed although it brings something, but never a whole request. */
const MAX_SWEEPS = 10;

const running = new WeakMap<ServerState, Promise<ShutdownReport>>();

/** Shuts `server` down, once; see `ServerScope.shutdown`. */
export function shutDown(
  server: Server,
  state: ServerState,
  options?: ShutdownOptions,
): Promise<ShutdownReport> {
  let report = running.get(state);
  if (report === undefined) {
    const { grace = state.grace ?? DEFAULT_GRACE, drainDelay = state.drainDelay ?? 0 } = options ?? {};
    // First, since a callback that is told of the shutdown may call for it.
    let start: (started: Promise<ShutdownReport>) => void = () => undefined;
    running.set(state, (report = new Promise((resolve) => (start = resolve))));
    state.draining.begin();
    const down = new Shutdown(server, state, drainDelay).run(grace);
    // Asked for again when all was over: by `main` first, then by the program.
    const before = state.before === undefined ? undefined : running.get(state.before);
    const isAgain = before !== undefined && !server.listening && !connectionsOf(server).isBinding;
    if (!isAgain) state.before = undefined;
    start(isAgain ? down.then(() => before) : down);
  }
  return report;
}

class Shutdown {
  readonly #server: Server;
  readonly #state: ServerState;
  readonly #released: Promise<void>;
  /** Before the server stops listening. */
  readonly #delay: Promise<void> | undefined;
  #isReleased = false;
  /** The answers that were broken off. */
  readonly #cutOff = new Set<object>();
  #letGo: () => void = () => undefined;
  #sweeps = 0;
  #checkSaid: (() => void) | undefined;
  /** Those who wait for the end of a request. */
  readonly #waiting: (() => void)[] = [];

  constructor(server: Server, state: ServerState, drainDelay: number) {
    this.#server = server;
    this.#state = state;
    // One that was cancelled has no time to wait.
    if (drainDelay > 0 && !state.node.cancelled) this.#delay = untilCancelled(state.node, drainDelay);
    this.#released = state.drained = this.#release();
    state.onQuiet = () => {
      for (const resolve of this.#waiting.splice(0)) resolve();
    };
  }

  async run(grace: number): Promise<ShutdownReport> {
    const state = this.#state;
    const { node } = state;
    const began = elapsed();
    state.adopt(this.#connections);
    const atStart = this.#requests();
    if (this.#delay !== undefined) await this.#delay;
    state.close();
    const sweeper = realTimers.setInterval(() => this.#sweep(), LINGER);
    let cancelled = 0;
    let stuck: readonly TaskInfo[] = [];
    try {
      const finished = this.#finish();
      const cancelledMeanwhile = new Promise<false>((resolve) => node.onCancel(() => resolve(false)));
      if (node.cancelled || !(await Promise.race([within(grace, finished), cancelledMeanwhile]))) {
        this.#records(); // each pending request gets a scope, whose cancellation is its handler's last chance
        cancelled = countAlive(state);
        cancel(node, "shutdown", undefined);
        this.#sweep();
        if (!(await within(Math.max(grace, MIN_CLEANUP), Promise.race([finished, this.#allSaid()])))) {
          stuck = this.#stuck();
          if (stuck.length > 0) foundStuck(node, stuck);
          this.#force();
        }
        await within(MAX_FLUSH, this.#answersSent(), realTimers);
      }
    } finally {
      realTimers.clearInterval(sweeper);
      this.#dropConnections();
    }
    if ((node.flags & CLOSED) !== 0) await wait(node, "close", this).promise; // rejects with a failed cleanup
    const duration = Math.round(elapsed() - began);
    return { running: atStart, cancelled, stuck, cutOff: this.#cutOff.size, duration };
  }

  get #connections(): Connections {
    return connectionsOf(this.#server);
  }

  /** Stops accepting; resolves when the server's own connections are closed, or when all is answered on others. */
  async #release(): Promise<void> {
    if (this.#delay !== undefined) await this.#delay;
    if (this.#state.connections === "leave") {
      while (this.#requests() > 0) await new Promise((resolve) => realTimers.setTimeout(resolve, LINGER));
    } else {
      const bound = whenBound(this.#server);
      if (bound !== undefined && (await bound)) await this.#state.afterListen?.();
      const lingers = this.#state.connections === "drain";
      await new Promise<void>((resolve) => {
        this.#letGo = resolve;
        stopListening(this.#server, lingers ? this.#state.sessions : undefined, resolve);
      });
    }
    this.#isReleased = true;
  }

  #requests(): number {
    const responses = new Set<object>(this.#state.pending().map(({ response }) => response));
    for (const { response } of this.#state.records) responses.add(response);
    return responses.size + this.#connections.streams.size;
  }

  /** Resolves when every connection is closed, and then everything in the scope. */
  async #finish(): Promise<void> {
    const state = this.#state;
    await this.#released;
    while (state.records.length > 0) await this.#nextEnd();
    const { node } = state;
    node.flags |= ENDING;
    const { promise } = wait(node, "dispose", this);
    advance(node);
    await promise.catch(() => undefined); // the caller gets it when all is down
  }

  /** Closes the connections that wait for their next request, and streams that have been answered. */
  #sweep(): void {
    this.#checkSaid?.();
    if (this.#isReleased || this.#state.connections === "leave") return;
    const state = this.#state;
    const connections = this.#connections;
    state.adopt(connections);
    state.close();
    for (const { response } of state.pending()) stopUpload(response);
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
    // What is open even then has been upgraded by somebody who made no scope for it, and may stay so for ever.
    if (!isLeft && connections.areAllKnown && this.#requests() === 0) this.#letGo();
  }

  /** The sessions of HTTP/2 on which something is answered. */
  #busySessions(): Set<unknown> {
    const busy = new Set<unknown>();
    for (const { session } of this.#connections.streams) busy.add(session);
    for (const { request } of this.#state.pending())
      busy.add((request as { stream?: { session?: unknown } }).stream?.session);
    busy.delete(undefined);
    return busy;
  }

  /** Resolves when nothing is left but to send what handlers have said. */
  #allSaid(): Promise<void> {
    return new Promise((resolve) => {
      this.#checkSaid = () => {
        const isBusy = this.#holders().some(([, what]) => what !== "response");
        const said = this.#records().map(({ response }) => hasEnded(response));
        for (const { writableEnded } of this.#connections.streams) said.push(writableEnded);
        if (!isBusy && !said.includes(false)) resolve();
      };
    });
  }

  /** Resolves when the answers that handlers have ended, and those in their place, are sent. */
  async #answersSent(): Promise<void> {
    await this.#released;
    while (this.#state.records.some(({ isAnswering }) => isAnswering)) await this.#nextEnd();
  }

  #nextEnd(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #stuck(): TaskInfo[] {
    const found = new Map<object, TaskInfo>();
    for (const { node, response } of this.#records())
      if (!hasEnded(response)) found.set(node, stuckInfo(node, "response"));
    for (const [node, what] of this.#holders()) found.set(node, stuckInfo(node, what));
    return [...found.values()];
  }

  /** What holds the scope up of what runs in it: no answer on its way to its client, and not this shutdown itself. */
  #holders(): (readonly [ScopeNode, WaitingFor])[] {
    return [...holdersOf(this.#state.node)].filter(
      ([node, what]) => what !== "client" && node.rarely?.cleaning?.label !== SHUTDOWN,
    );
  }

  /** The last resort: an answer where none has begun, and an unmistakable end where one has. */
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
        // Not by `close(code)`, which ends the stream first, as if all had been said.
        stream.on("error", () => undefined).destroy(this.#state.node.reason);
      }
    }
  }

  #records(): readonly RequestRecord[] {
    const state = this.#state;
    for (const { request, response } of state.pending())
      if (recordOf(request) === undefined) openRequest(request, response, state);
    return state.records;
  }

  #dropConnections(): void {
    if (this.#state.connections === "leave") return;
    const responses = [...this.#state.pending(), ...this.#state.records].map(({ response }) => response);
    for (const response of responses) {
      // An upgraded socket has been cut off before, if it is part of this.
      if (!isResponse(response) || response.destroyed || !response.headersSent) continue;
      this.#cutOff.add(response);
      if ("destroy" in response) response.destroy();
    }
    for (const stream of this.#connections.streams) if (stream.headersSent) this.#cutOff.add(stream);
    if (this.#connections.isBinding) this.#server.close(() => undefined); // which cancels that
    (this.#server as Partial<HttpServer>).closeAllConnections?.();
    for (const connection of this.#connections) if (!connection.isUpgraded) connection.destroy();
  }
}

/** Resolves after so many ms, or when the scope is cancelled. */
function untilCancelled(node: ScopeNode, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const over = (): void => {
      timer.clear();
      stop();
      resolve();
    };
    const timer = new LongTimer(ms, over);
    const stop = node.onCancel(over);
  });
}

/** Requests and jobs directly below the server's scope; not those of which only the answer is still being sent. */
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
 * A server whose scope is cancelled, or ends, shuts down; so does one whose process is told to stop. Holds the server
 * weakly: see the invariant of node.ts.
 */
export class StopHook extends Hook implements StoppableServer {
  readonly #server: WeakRef<Server>;
  readonly #state: ServerState;

  constructor(server: Server, state: ServerState) {
    super();
    this.#server = new WeakRef(server);
    this.#state = state;
    addServer(this);
  }

  get node(): ScopeNode {
    return this.#state.node;
  }

  async stop(): Promise<void> {
    const server = this.#server.deref();
    if (server !== undefined) await shutDown(server, this.#state);
  }

  override ended(): void {
    removeServer(this);
  }

  run(): void {
    removeServer(this);
    const server = this.#server.deref();
    // Failures of the scope itself are for whoever closes it.
    if (server !== undefined) shutDown(server, this.#state, { grace: 0 }).catch(() => undefined);
  }
}
