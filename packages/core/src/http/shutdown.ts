import type { Server as HttpServer } from "node:http";
import type { Server } from "node:net";
import type { TaskInfo } from "../errors/scope-errors.js";
import { foundStuck } from "../kernel/channels.js";
import { ENDING, CLOSED, TASK } from "../kernel/flags.js";
import { taskInfo } from "../kernel/info.js";
import { advance, cancel } from "../kernel/settle.js";
import { liveDescendants } from "../kernel/tree.js";
import { wait } from "../kernel/wait.js";
import { cutOff, isSaid, stopUpload } from "./answer.js";
import { openRequest, recordOf } from "./open-request.js";
import type { RequestRecord } from "./request-record.js";
import type { ServerState } from "./server-state.js";
import { stopListening } from "./stop-listening.js";
import { within } from "./within.js";

/** What became of a server's requests when it shut down. */
export interface ShutdownReport {
  /** How many requests were running when the shutdown began. */
  readonly running: number;
  /** How many requests and jobs had to be cancelled because the grace period was over. */
  readonly cancelled: number;
  /** What went on regardless: requests that were answered in their handler's place, and tasks that still run. */
  readonly stuck: readonly TaskInfo[];
  /** Milliseconds. */
  readonly duration: number;
}

const DEFAULT_GRACE = 10_000;
/** What cancelled work gets for its clean-up, however short the grace period. */
const MIN_CLEANUP = 1_000;
/** How long a connection may still bring the request that was on its way when the server stopped listening. */
const LINGER = 100;
/** How long the last answers may take to be sent. */
const MAX_FLUSH = 500;
/** After how many sweeps a silent connection counts as idle. */
const SILENT_SWEEPS = 3;

const running = new WeakMap<ServerState, Promise<ShutdownReport>>();

/** Shuts `server` down, once; see `ServerScope.shutdown`. */
export function shutDown(
  server: Server,
  state: ServerState,
  grace: number | undefined,
): Promise<ShutdownReport> {
  let report = running.get(state);
  if (report === undefined) {
    report = new Shutdown(server, state).run(grace ?? state.grace ?? DEFAULT_GRACE);
    running.set(state, report);
  }
  return report;
}

class Shutdown {
  readonly #server: Server;
  readonly #state: ServerState;
  readonly #released: Promise<void>;
  #isReleased = false;
  #letGo: () => void = () => undefined;
  #sweeps = 0;

  constructor(server: Server, state: ServerState) {
    this.#server = server;
    this.#state = state;
    this.#released = state.drained = this.#release();
  }

  async run(grace: number): Promise<ShutdownReport> {
    const state = this.#state;
    const { node } = state;
    const began = Date.now();
    const atStart = this.#requests();
    state.close();
    const sweeper = setInterval(() => this.#sweep(), LINGER);
    let cancelled = 0;
    let stuck: readonly TaskInfo[] = [];
    try {
      if (node.cancelled || !(await within(grace, this.#finish()))) {
        this.#records(); // each pending request gets a scope, whose cancellation is its handler's last chance
        cancelled = countAlive(state);
        cancel(node, "shutdown", undefined);
        this.#sweep();
        if (!(await within(Math.max(grace, MIN_CLEANUP), this.#finish()))) {
          stuck = this.#stuck();
          if (stuck.length > 0) foundStuck(node, stuck);
          this.#force();
        }
      }
      await within(MAX_FLUSH, this.#released);
    } finally {
      clearInterval(sweeper);
      this.#dropConnections();
    }
    if ((node.flags & CLOSED) !== 0) await wait(node, "close", this).promise; // rejects with a failed cleanup
    return { running: atStart, cancelled, stuck, duration: Date.now() - began };
  }

  /** Stops accepting; resolves when the server's own connections are closed, or when all is answered on others. */
  async #release(): Promise<void> {
    if (this.#state.connections === "leave") {
      while (this.#requests() > 0) await new Promise((resolve) => setTimeout(resolve, LINGER));
    } else {
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
    return responses.size;
  }

  /** Resolves when every connection is closed, and then everything in the scope. */
  async #finish(): Promise<void> {
    const state = this.#state;
    await this.#released;
    while (state.records.length > 0) await new Promise<void>((resolve) => (state.onQuiet = resolve));
    const { node } = state;
    node.flags |= ENDING;
    const { promise } = wait(node, "dispose", this);
    advance(node);
    await promise.catch(() => undefined); // the caller gets it when all is down
  }

  /** Closes the connections that wait for their next request, and streams that have been answered. */
  #sweep(): void {
    if (this.#isReleased || this.#state.connections === "leave") return;
    const server = this.#server as Partial<HttpServer>;
    this.#state.close();
    for (const { response } of this.#state.pending()) stopUpload(response);
    this.#sweeps += 1;
    // A connection that has never sent anything is not idle to Node, and would be waited for.
    const nothingLeft = this.#knowsAll() && this.#requests() === 0 && this.#sweeps > SILENT_SWEEPS;
    if (!nothingLeft) return server.closeIdleConnections?.();
    server.closeAllConnections?.();
    // What is open even then has been upgraded by somebody who made no scope for it, and may stay so for ever.
    if (this.#sweeps > SILENT_SWEEPS + 1) this.#letGo();
  }

  /** A server hears of no request whose client expects something, where somebody listens for that. */
  #knowsAll(): boolean {
    const events = ["checkContinue", "checkExpectation"];
    return this.#state.knowsAll && events.every((event) => this.#server.listenerCount(event) === 0);
  }

  #stuck(): TaskInfo[] {
    const found = new Map<object, TaskInfo>();
    for (const { node, response } of this.#records()) if (!isSaid(response)) found.set(node, taskInfo(node));
    for (const node of liveDescendants(this.#state.node)) {
      if ((node.flags & TASK) !== 0) found.set(node, taskInfo(node));
    }
    return [...found.values()];
  }

  /** The last resort: an answer where none has begun, and an unmistakable end where one has. */
  #force(): void {
    for (const record of this.#records()) if (!record.answer(503)) cutOff(record.response);
  }

  #records(): readonly RequestRecord[] {
    const state = this.#state;
    for (const { request, response } of state.pending())
      if (recordOf(request) === undefined) openRequest(request, response, state);
    return state.records;
  }

  #dropConnections(): void {
    if (this.#state.connections === "leave") return;
    (this.#server as Partial<HttpServer>).closeAllConnections?.();
    for (const session of this.#state.sessions) session.destroy();
  }
}

/** Requests and jobs directly below the server's scope. */
function countAlive({ node }: ServerState): number {
  let count = 0;
  for (let child = node.first; child !== undefined; child = child.next) count += 1;
  return count;
}
