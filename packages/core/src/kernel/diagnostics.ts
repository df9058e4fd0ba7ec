import { MAX_STARTS_WITHOUT_SUBSCRIBER } from "./constants.js";
import type { CancelledError } from "../errors/cancelled.js";
import type { TaskInfo, TaskStatus } from "../errors/scope-errors.js";
import { ageOf } from "./monotonic-clock.js";
import type { ScopeNode } from "./node.js";
import { ignore } from "./observer.js";
import type { ScopeKind } from "./scope-kind.js";
import type { Scope } from "./scope.js";
import { isPublished, markPublished, startedAsTask } from "./state.js";
import { statusOf } from "./status.js";

export function taskInfo(node: ScopeNode): TaskInfo {
  const site = node.extras?.site;
  return {
    name: node.name,
    path: node.path,
    status: statusOf(node),
    age: ageOf(node.startedAt),
    ...(site === undefined ? {} : { spawnedAt: site }),
  };
}

/** Information about a scope whose handle was collected. A plain object: it keeps nothing alive. */
export interface OrphanInfo {
  /** The name of the scope. */
  readonly name: string;
  /** The names from the root, joined by `/`. */
  readonly path: string;
  /** Milliseconds since it was created. */
  readonly age: number;
  /** Tasks below it that were still running. */
  readonly liveTasks: number;
  /** Where it was created; recorded only while tracing is on. */
  readonly createdAt?: string;
}

/** What to do when an owner handle is collected before its scope was closed. */
export type OrphanPolicy = "warn" | "ignore" | ((info: OrphanInfo) => unknown);

// ---- the channels (rule 27). A message is created only if there is a subscriber; otherwise a channel costs one read.
// An expensive field, such as a path, is computed when a subscriber first reads it.

/** `bough:task:start`: a worker is about to be called. */
export interface TaskStartMessage {
  /** The scope that the worker of the task gets. It identifies the task, for example in a WeakMap. */
  readonly scope: Scope;
  /** The scope that it was spawned in. */
  readonly parent: Scope;
  /** The task, as data. Its `age` is that of the moment at which this is first read. */
  readonly task: TaskInfo;
}

/** `bough:task:settle`: a task has settled whose worker was called, its children and cleanups included. */
export interface TaskSettleMessage extends TaskStartMessage {
  /** The failure or the reason that it rejects with, if it has failed or was cancelled. */
  readonly error?: unknown;
}

/** `bough:scope:open`: a scope that is not a task has been made. Its body, if it has one, is about to be called. */
export interface ScopeOpenMessage {
  /** The view, never the owner handle. */
  readonly scope: Scope;
  /** Of a root, `background`. */
  readonly parent: Scope;
  /** The function that has made it. */
  readonly kind: ScopeKind;
}

/** `bough:scope:close`: a scope that is not a task has settled. */
export interface ScopeCloseMessage extends ScopeOpenMessage {
  /** How it has ended. */
  readonly status: Exclude<TaskStatus, "queued" | "running">;
  /** Milliseconds since it was made, at the moment at which this is first read. */
  readonly age: number;
  /** The failure or the reason that it rejects with, if it has failed or was cancelled. */
  readonly error?: unknown;
}

/** `bough:scope:cancel`: a scope or task was cancelled, with everything below it. Its listeners have not run yet. */
export interface ScopeCancelMessage {
  /** Where the cancellation began. */
  readonly scope: Scope;
  /** Why. */
  readonly reason: CancelledError;
}

/** `bough:orphan`: a scope was cancelled because its owner handle was collected. */
export interface OrphanMessage {
  /** The scope without its handle. */
  readonly scope: Scope;
  /** The argument of `onOrphan`. */
  readonly orphan: OrphanInfo;
}

/** `bough:stuck`: a grace period is over, of a scope, of one `close` or of a server's shutdown, and tasks still run. */
export interface StuckMessage {
  /** The cancelled scope. */
  readonly scope: Scope;
  /** The tasks, scopes and cleanups that have not ended, the outermost first. */
  readonly tasks: readonly TaskInfo[];
}

class TaskMessage implements TaskStartMessage {
  readonly scope: ScopeNode;
  readonly parent: ScopeNode;
  readonly #status: TaskStatus;
  #task: TaskInfo | undefined;

  constructor(scope: ScopeNode, status: TaskStatus) {
    this.scope = scope;
    this.parent = scope.parent as ScopeNode;
    this.#status = status;
  }

  get task(): TaskInfo {
    return (this.#task ??= { ...taskInfo(this.scope), status: this.#status });
  }

  /** `JSON.stringify` does not look at getters. */
  toJSON(): object {
    return Object.assign({}, this, { task: this.task });
  }
}

class CloseMessage implements ScopeCloseMessage {
  readonly scope: ScopeNode;
  readonly parent: ScopeNode;
  readonly kind: ScopeKind;
  readonly status: ScopeCloseMessage["status"];
  #age: number | undefined;

  constructor(scope: ScopeNode, status: TaskStatus) {
    this.scope = scope;
    this.parent = scope.parent as ScopeNode;
    this.kind = scope.extras?.kind as ScopeKind; // set when the opening was published
    this.status = status as ScopeCloseMessage["status"];
  }

  get age(): number {
    return (this.#age ??= ageOf(this.scope.startedAt));
  }

  toJSON(): object {
    return Object.assign({}, this, { age: this.age });
  }
}

interface DiagnosticsChannel<M> {
  readonly hasSubscribers: boolean;
  subscribe?: ((listener: unknown) => unknown) | undefined;
  bindStore?: ((store: unknown, transform?: unknown) => unknown) | undefined;
  /** The bound stores. Private to Node, which has no public way to read them. */
  readonly _stores?: { readonly size: number } | undefined;
  publish(message: M): void;
  /** Publishes the message and calls `call` in the bound stores. Missing in older runtimes. */
  runStores?<A extends unknown[], R>(message: M, call: (...args: A) => R, thisArg: undefined, ...args: A): R;
}

interface Host {
  getBuiltinModule?: (name: string) => { channel?(name: string): DiagnosticsChannel<never> } | undefined;
}

/** Not imported, since browsers have no such module. */
const host = (globalThis as { process?: Host }).process;
const module = host?.getBuiltinModule?.("node:diagnostics_channel");
const noChannel: DiagnosticsChannel<unknown> = { hasSubscribers: false, publish() {} };

/**
 * Whether a channel has had a subscriber, which may still listen. Reading `hasSubscribers` of each channel would cost a
 * twentieth of a task.
 */
let listening = false;

/** Whether a store has been bound to a channel, and may still be. */
let hasStores = false;

/** The channels of the platform. */
const channels: DiagnosticsChannel<never>[] = [];

function channel<M>(name: string): DiagnosticsChannel<M> {
  const found = module?.channel?.(`bough:${name}`);
  if (found === undefined) return noChannel;
  channels.push(found);
  watchForSubscribers(found);
  return found;
}

/** Sets `listening` and `hasStores`, now or when the channel gets a subscriber or a store. */
function watchForSubscribers(found: DiagnosticsChannel<never>): void {
  if (found.hasSubscribers || !replaceUntilCalled(found, "subscribe")) listening = true;
  if ((found._stores?.size ?? 0) > 0 || !replaceUntilCalled(found, "bindStore")) hasStores = true;
}

type Method = "subscribe" | "bindStore";

/** The methods that are replaced at the moment. */
const replacedMethods = new Map<DiagnosticsChannel<never>, Set<Method>>();

/** Replaces a method until its next call. Returns whether the channel can be changed. */
function replaceUntilCalled(found: DiagnosticsChannel<never>, method: Method): boolean {
  const original = found[method];
  if (original === undefined && method === "bindStore") return true;
  const replaced = replacedMethods.get(found) ?? new Set();
  if (replaced.has(method)) return true;
  const isInherited = !Object.hasOwn(found, method); // otherwise another copy of the package has replaced it
  const isReplaced = Reflect.set(found, method, (...args: [never]) => {
    listening = true;
    if (method === "bindStore") hasStores = true;
    replaced.delete(method);
    if (isInherited) delete found[method];
    else found[method] = original;
    return found[method]?.(...args);
  });
  if (isReplaced) replacedMethods.set(found, replaced.add(method));
  return isReplaced;
}

let startsWithoutSubscriber = 0;

/**
 * Called when the channel of a start has no subscriber. If no channel has one, the next starts cost as little as without
 * any earlier subscriber.
 */
function countStartWithoutSubscriber(): undefined {
  if (++startsWithoutSubscriber < MAX_STARTS_WITHOUT_SUBSCRIBER) return;
  startsWithoutSubscriber = 0;
  if (channels.some(({ hasSubscribers }) => hasSubscribers)) return;
  listening = hasStores = false;
  for (const found of channels) watchForSubscribers(found);
}

const scopeOpen = /* @__PURE__ */ channel<ScopeOpenMessage>("scope:open");
const scopeCancel = /* @__PURE__ */ channel<ScopeCancelMessage>("scope:cancel");
const scopeClose = /* @__PURE__ */ channel<ScopeCloseMessage>("scope:close");
const taskStart = /* @__PURE__ */ channel<TaskStartMessage>("task:start");
const taskSettle = /* @__PURE__ */ channel<TaskSettleMessage>("task:settle");
const orphan = /* @__PURE__ */ channel<OrphanMessage>("orphan");
const stuck = /* @__PURE__ */ channel<StuckMessage>("stuck");

/** Whether a channel may have a subscriber. */
export function isListening(): boolean {
  return listening;
}

/** Publishes that a scope without a body was created. Its end is published only if its start was. */
export function publishOpen(node: ScopeNode, kind: ScopeKind): void {
  if (listening) publishStart(node, kind)?.run(ignore);
}

/** Publishes a start and calls the worker or body, both within the stores that are bound to the channel. */
export interface StartInStores {
  /** With arguments, since a closure would cost the caller a context even without a subscriber. */
  run<A extends unknown[], R>(call: (...args: A) => R, ...args: A): R;
}

/**
 * Publishes that the worker of a task, or the body of a scope of this kind, is about to be called. If stores are bound,
 * returns an object instead, which publishes when the caller calls the worker through it.
 */
export function publishStart(node: ScopeNode, kind: ScopeKind | undefined): StartInStores | undefined {
  return listening ? publishOpened(node, kind) : undefined;
}

function publishOpened(node: ScopeNode, kind: ScopeKind | undefined): StartInStores | undefined {
  if (kind === undefined) {
    if (!taskStart.hasSubscribers && !taskSettle.hasSubscribers) return countStartWithoutSubscriber();
    markPublished(node);
    return publish(taskStart, new TaskMessage(node, "running"));
  }
  if (!scopeOpen.hasSubscribers && !scopeClose.hasSubscribers) return countStartWithoutSubscriber();
  markPublished(node);
  node.ensureExtras().kind = kind;
  return publish(scopeOpen, { scope: node, parent: node.parent as ScopeNode, kind });
}

function publish<M>(channel: DiagnosticsChannel<M>, message: M): StartInStores | undefined {
  if (hasStores && typeof channel.runStores === "function")
    return {
      run: (call, ...args) =>
        (channel as Required<DiagnosticsChannel<M>>).runStores(message, call, undefined, ...args),
    };
  channel.publish(message);
  return undefined;
}

/** Whether a store may be bound to the channel of scopes: then the handler of a request runs in it. */
export function hasScopeStores(): boolean {
  return hasStores && scopeOpen.hasSubscribers;
}

/** Publishes that a node, whose start was published, has settled and left the tree. */
export function publishSettled(node: ScopeNode): void {
  if (isPublished(node)) publishEnd(node);
}

function publishEnd(node: ScopeNode): void {
  const isOfTask = startedAsTask(node);
  const channel = (isOfTask ? taskSettle : scopeClose) as DiagnosticsChannel<EndMessage>;
  if (!channel.hasSubscribers) return;
  const status = statusOf(node);
  const message: EndMessage = isOfTask ? new TaskMessage(node, status) : new CloseMessage(node, status);
  if (status === "failed") message.error = node.extras?.errors?.keys().next().value;
  else if (status === "cancelled") message.error = node.reason;
  channel.publish(message);
}

type EndMessage = (TaskMessage | CloseMessage) & { error?: unknown };

/** Publishes that a cancellation begins at `node`: everything below it is marked, and no listener has run. */
export function publishCancel(node: ScopeNode, reason: CancelledError): void {
  if (listening && scopeCancel.hasSubscribers) scopeCancel.publish({ scope: node, reason });
}

/** Publishes that the grace period of `node` is over. */
export function publishStuck(node: ScopeNode, tasks: readonly TaskInfo[]): void {
  if (stuck.hasSubscribers) stuck.publish({ scope: node, tasks });
}

export function hasOrphanSubscribers(): boolean {
  return orphan.hasSubscribers;
}

export function publishOrphan(node: ScopeNode, info: OrphanInfo): void {
  if (orphan.hasSubscribers) orphan.publish({ scope: node, orphan: info });
}
