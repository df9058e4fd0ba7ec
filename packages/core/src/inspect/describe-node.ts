import type { CancelledError, CancelKind } from "../errors/cancelled.js";
import { describe } from "../errors/describe.js";
import type { TaskStatus } from "../errors/scope-errors.js";
import { annotationsOf } from "../kernel/annotations.js";
import type { CancelHook, Extras, ScopeNode, SurvivedFailures } from "../kernel/node.js";
import type { ScopeState } from "../kernel/scope.js";
import {
  hasHandle,
  hasRunningBody,
  isBackground,
  isDaemon,
  isEnding,
  isTask,
  isWindingUp,
} from "../kernel/state.js";
import { statusOf } from "../kernel/status.js";
import { requestOf, type RequestInfo } from "./request-info.js";
import { describeWait, isWait, type WaitInfo } from "./waits.js";

/**
 * How a scope was made: by `spawn` (task), `createScope` (handle), `withScope` (scope), a server (request), or not by
 * code: the background, above all roots.
 */
export type NodeKind = "background" | "handle" | "request" | "scope" | "task";

/**
 * How a worker would notice its cancellation:
 *
 * - `signal`: `scope.signal` was read
 * - `callback`: an `onCancel` callback is registered
 * - `check`: `throwIfCancelled` or `checkpoint` was called
 * - `wait`: it waits in a function of bough, such as `sleep`
 */
export type Listening = "signal" | "callback" | "check" | "wait";

/** A {@link CancelledError} as plain data. */
export interface ReasonInfo {
  /** The kind of the cancellation. */
  readonly kind: CancelKind;
  /** The path of the scope on which the cancellation began. */
  readonly scope: string;
  /** For people. */
  readonly message: string;
  /** The argument of `cancel(cause)`, as text. */
  readonly cause?: string;
  /** When it was cancelled, in epoch ms. */
  readonly at?: number;
  /** Where `cancel()` was called; recorded only while tracing is on. */
  readonly by?: string;
}

/** The failures that a scope has survived. Plain data. */
export interface SurvivedInfo {
  /** Failed runs of its worker, each followed by another one (`supervise`, `retry`). */
  readonly restarts: number;
  /** Failures of its tasks that did not cancel the other tasks (`supervise: true`). */
  readonly kept: number;
  /** How many of them happened in the last minute: at most 16. */
  readonly lastMinute: number;
  /** The name of the last error. */
  readonly error: string;
}

/** One scope or task at one moment, without its children. Plain data. */
export interface NodeInfo {
  /** Unique among the scopes of one copy of the package in a process, in the order in which they were made. */
  readonly id: number;
  /** The `id` of the scope above it; absent for the background. */
  readonly parent?: number;
  /** The name of the scope or task. Of the background: `background`. */
  readonly name: string;
  /** How it was made. */
  readonly kind: NodeKind;
  /** Where it is in its life. */
  readonly state: ScopeState;
  /** Tasks only. */
  readonly status?: TaskStatus;
  /** Present on tasks that their scope does not wait for. */
  readonly daemon?: true;
  /** Milliseconds since it was made. */
  readonly age: number;
  /** Its own deadline in epoch ms. */
  readonly ownDeadline?: number;
  /** Its own grace period in ms. */
  readonly grace?: number;
  /** Why it was cancelled. */
  readonly reason?: ReasonInfo;
  /** Its waits in functions of bough. */
  readonly waits?: readonly WaitInfo[];
  /** Absent if it would not notice a cancellation. */
  readonly listens?: readonly Listening[];
  /** Its `concurrency`. */
  readonly limit?: number;
  /** Cleanups (`defer`, `use`) that have not begun. */
  readonly cleanups: number;
  /** Pending `join` and `close` calls. */
  readonly waiters: number;
  /** Failures recorded so far. */
  readonly failures: number;
  /** Failures that did not fail it: of runs that `supervise` or `retry` repeats, and of tasks that it supervises. */
  readonly survived?: SurvivedInfo;
  /**
   * It was cancelled, or its body has ended, and it waits for its own work: the end of its worker, or its cleanups. If
   * a tree does not end, this marks the scopes that block it.
   */
  readonly waitingForCleanup: boolean;
  /** Its worker or body has ended, and it waits for its children. */
  readonly joining?: true;
  /** The request that it serves. */
  readonly request?: RequestInfo;
  /** Short notes of integrations, for example the process in which a remote job runs. */
  readonly note?: string;
  /** The data of integrations, by their names. */
  readonly annotations?: Readonly<Record<string, unknown>>;
  /** The names of the context values that were set on it, never the values. */
  readonly context?: readonly string[];
  /** Present if the node was made under a virtual clock that has ended since: its times belong to another clock. */
  readonly leftByClock?: true;
  /** Where it was spawned or created; recorded only while tracing is on. */
  readonly spawnedAt?: string;
}

type MutableInfo = { -readonly [K in keyof NodeInfo]: NodeInfo[K] };

/** Describes one node. It has no visible effect: it creates no signal, for example. */
export function describeNode(
  node: ScopeNode,
  now: number,
  reasons: Map<CancelledError, ReasonInfo>,
): MutableInfo {
  const { extras, parent, reason, hooks } = node;
  const request = node.observer === undefined ? undefined : requestOf(node);
  const kind = request === undefined ? kindOf(node) : "request";
  // Field by field: spreads would make a dozen objects for each of a hundred thousand nodes.
  const info = {
    id: node.id,
    name: node.name,
    kind,
    state: node.state,
    age: Math.max(0, now - node.startedAt),
    cleanups: countCleanups(node),
    waiters: extras?.settings?.waiters?.length ?? 0,
    failures: extras?.errors?.size ?? 0,
    waitingForCleanup: isWindingUp(node),
  } as MutableInfo;
  if (parent !== undefined) info.parent = parent.id;
  if (kind === "task") info.status = statusOf(node);
  if (isDaemon(node)) info.daemon = true;
  if (reason !== undefined) info.reason = plainReason(reason, reasons);
  const waits = hooks === undefined ? undefined : waitsOf(hooks, now);
  if (waits !== undefined) info.waits = waits;
  const listens = listeningOf(node, waits !== undefined);
  if (listens !== undefined) info.listens = listens;
  if (isEnding(node) && !hasRunningBody(node) && node.first !== undefined) info.joining = true;
  if (request !== undefined) info.request = request;
  if (extras !== undefined) addExtras(info, extras, now);
  addAnnotations(info, node);
  return info;
}

/** Describes the nodes of one look, which share the descriptions of their reasons. */
export function nodeDescriber(): (node: ScopeNode, now: number) => NodeInfo {
  const reasons = new Map<CancelledError, ReasonInfo>();
  return (node, now) => describeNode(node, now, reasons);
}

/** Adds the properties that few nodes have. */
function addExtras(info: MutableInfo, { settings, context, site }: Extras, now: number): void {
  if (settings?.deadline !== undefined) info.ownDeadline = settings.deadline.instant;
  if (settings?.grace !== undefined) info.grace = settings.grace;
  if (settings?.limit !== undefined) info.limit = settings.limit.max;
  if (context !== undefined && context.size > 0)
    info.context = Array.from(context.keys(), ({ name }) => name);
  if (site !== undefined) info.spawnedAt = site;
  if (settings?.survived !== undefined && settings.survived.times.length > 0)
    info.survived = survivedInfo(settings.survived, now);
}

const MINUTE = 60_000;

function survivedInfo({ restarts, kept, lastError, times }: SurvivedFailures, now: number): SurvivedInfo {
  const lastMinute = times.filter((time) => now - time < MINUTE).length;
  return { restarts, kept, lastMinute, error: lastError };
}

function addAnnotations(info: MutableInfo, node: ScopeNode): void {
  const found = annotationsOf(node);
  if (found === undefined) return;
  info.note = [...found.values()].map(({ text }) => text).join(" · ");
  const data = [...found].filter(([, annotation]) => annotation.data !== undefined);
  if (data.length > 0)
    info.annotations = Object.fromEntries(data.map(([key, annotation]) => [key, annotation.data]));
}

function kindOf(node: ScopeNode): NodeKind {
  if (isBackground(node)) return "background";
  if (isTask(node)) return "task";
  return hasHandle(node) ? "handle" : "scope";
}

/** A scope can have a hundred thousand waits: only the first ones are described. */
export const MAX_WAITS = 8;

function waitsOf(first: CancelHook | undefined, now: number): WaitInfo[] | undefined {
  let waits: WaitInfo[] | undefined;
  for (let hook = first; hook !== undefined; hook = hook.next) {
    if (!isWait(hook)) continue;
    waits ??= [];
    waits.push(describeWait(hook, now));
    if (waits.length === MAX_WAITS) break;
  }
  return waits;
}

/** Every combination, created once, since {@link describeNode} avoids new objects. */
const listeningBy: readonly (readonly Listening[])[] = Array.from({ length: 16 }, (_, bits) =>
  (["signal", "callback", "check", "wait"] as const).filter((_name, index) => (bits & (1 << index)) !== 0),
);

function listeningOf({ extras, hooks }: ScopeNode, waits: boolean): readonly Listening[] | undefined {
  const bits =
    (extras?.controller === undefined ? 0 : 1) |
    (hasCallback(hooks) ? 2 : 0) |
    (extras?.polls === true ? 4 : 0) |
    (waits ? 8 : 0);
  return bits === 0 ? undefined : listeningBy[bits];
}

function hasCallback(first: CancelHook | undefined): boolean {
  for (let hook = first, looked = 0; hook !== undefined && looked < MAX_WAITS; hook = hook.next, looked++)
    if (!isWait(hook)) return true;
  return false;
}

function countCleanups(node: ScopeNode): number {
  let count = 0;
  for (let at = node.extras?.defers; at !== undefined; at = at.earlier) count += 1;
  return count;
}

/** The description of a reason. All scopes that one cancellation has reached share it. */
function plainReason(reason: CancelledError, known: Map<CancelledError, ReasonInfo>): ReasonInfo {
  let plain = known.get(reason);
  if (plain === undefined) {
    const { kind, scope, message, cause, at, by } = reason;
    plain = {
      kind,
      scope,
      message,
      ...(cause === undefined ? {} : { cause: inWords(cause) }),
      ...(at === undefined ? {} : { at }),
      ...(by === undefined ? {} : { by }),
    };
    known.set(reason, plain);
  }
  return plain;
}

function inWords(cause: unknown): string {
  try {
    if (cause instanceof Error) return `${cause.name}: ${cause.message}`;
  } catch {
    // A getter may throw, or the message may not be a string.
  }
  return describe(cause);
}
