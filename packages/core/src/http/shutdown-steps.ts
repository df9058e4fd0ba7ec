import type { TaskInfo, WaitingFor } from "../errors/scope-errors.js";
import { Hook } from "../kernel/cancel-hooks.js";
import { blockersOf, stuckInfo } from "../kernel/blockers.js";
import { advance } from "../kernel/lifecycle.js";
import type { ScopeNode } from "../kernel/node.js";
import { wait } from "../kernel/outcome.js";
import { markEnding } from "../kernel/state.js";
import { addServer, removeServer, type StoppableServer } from "../process/servers.js";
import { unwatchHandle } from "../task/orphan.js";
import {
  SHUTDOWN,
  type DrainableServer,
  type ShutdownOptions,
  type ShutdownReport,
} from "./server-handle.js";

// The parts of a shutdown that do not depend on the kind of server. The steps in order are in shutdown.ts, here and in
// web/. This file uses no objects of Node.

/** The default grace period of a server, in ms. */
const DEFAULT_GRACE = 10_000;
/** The minimum time for the cleanup of cancelled work, in ms, even if the grace period is shorter. */
export const MIN_CLEANUP = 1_000;
/** How long the last answers may take to be sent after the grace period, in ms. */
export const MAX_FLUSH = 500;

const reports = new WeakMap<DrainableServer, Promise<ShutdownReport>>();

/** The report of the shutdown of a server, if it has begun. */
export function reportOf(server: DrainableServer): Promise<ShutdownReport> | undefined {
  return reports.get(server);
}

/**
 * Announces the shutdown of a server and calls `run`, once. Further calls return the report of the first.
 *
 * @param run - Shuts the server down.
 */
export function shutDownOnce(
  server: DrainableServer,
  options: ShutdownOptions | undefined,
  run: (grace: number, drainDelay: number) => Promise<ShutdownReport>,
): Promise<ShutdownReport> {
  const known = reports.get(server);
  if (known !== undefined) return known;
  const { grace = server.grace ?? DEFAULT_GRACE, drainDelay = server.drainDelay ?? 0 } = options ?? {};
  // First, since an `onShutdown` callback may call `shutdown()`.
  let start: (started: Promise<ShutdownReport>) => void = () => undefined;
  const report = new Promise<ShutdownReport>((resolve) => (start = resolve));
  reports.set(server, report);
  unwatchHandle(server.node); // jobs have the grace period, even if the handle is dropped meanwhile
  server.draining.begin();
  start(run(grace, drainDelay));
  return report;
}

/** Whether a request was cancelled together with its server. */
export function wasStoppedWith(server: ScopeNode, request: ScopeNode): boolean {
  return server.reason !== undefined && request.reason === server.reason;
}

/** Resolves when everything in the scope has settled. A failure of the scope is not passed on. */
export async function whenSettled(node: ScopeNode, handle: object): Promise<void> {
  markEnding(node);
  const { promise } = wait(node, "dispose", handle);
  advance(node);
  await promise.catch(() => undefined);
}

/**
 * The nodes that keep the scope of a server from settling, except answers that are being sent and the shutdown itself.
 */
function blockersOfServer(node: ScopeNode): (readonly [ScopeNode, WaitingFor])[] {
  return [...blockersOf(node)].filter(
    ([holder, what]) => what !== "client" && holder.extras?.cleaning?.label !== SHUTDOWN,
  );
}

/** Whether a task or a cleanup in the scope of a server still runs. */
export function isBusy(node: ScopeNode): boolean {
  return blockersOfServer(node).some(([, what]) => what !== "response");
}

/** The part of a request's record that the report of a shutdown reads. */
interface OpenRecord {
  readonly node: ScopeNode;
  readonly responder: { readonly hasEnded: boolean };
}

/** The requests without a complete answer, and the tasks and cleanups that still run. */
export function stuckIn(node: ScopeNode, records: readonly OpenRecord[]): TaskInfo[] {
  const found = new Map<object, TaskInfo>();
  for (const { node: request, responder } of records)
    if (!responder.hasEnded) found.set(request, stuckInfo(request, "response"));
  for (const [holder, what] of blockersOfServer(node)) found.set(holder, stuckInfo(holder, what));
  return [...found.values()];
}

/** Shuts a server down when its scope is cancelled or the process is told to stop. */
export class StopHook extends Hook implements StoppableServer {
  readonly node: ScopeNode;
  readonly #shutDown: (options?: ShutdownOptions) => Promise<unknown>;

  /**
   * @param shutDown - Must not reference the owner handle: nothing that a scope reaches may (the invariant of node.ts).
   */
  constructor(node: ScopeNode, shutDown: (options?: ShutdownOptions) => Promise<unknown>) {
    super();
    this.node = node;
    this.#shutDown = shutDown;
    addServer(this);
  }

  async stop(): Promise<void> {
    await this.#shutDown();
  }

  override ended(): void {
    removeServer(this);
  }

  run(): void {
    removeServer(this);
    // The call that closes the scope receives its failures.
    this.#shutDown({ grace: 0 }).catch(() => undefined);
  }
}
