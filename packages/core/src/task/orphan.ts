import { createReason, type CancelledError } from "../errors/cancelled.js";
import { quotePath } from "../errors/describe.js";
import { isThenable } from "../errors/user-values.js";
import { publishOrphan, hasOrphanSubscribers } from "../kernel/diagnostics.js";
import { ageOf } from "../kernel/monotonic-clock.js";
import { isCancelled, isClosed, isTask, markDroppable } from "../kernel/state.js";
import type { ScopeNode } from "../kernel/node.js";
import type { OrphanInfo, OrphanPolicy } from "../kernel/diagnostics.js";
import type { Observer } from "../kernel/observer.js";
import { report } from "../kernel/outcome.js";
import { setUnrefTimer } from "../kernel/platform.js";
import { releaseFailure } from "../kernel/held-failures.js";
import { cancelWith } from "../kernel/lifecycle.js";
import { liveDescendants } from "../kernel/tree.js";
import { HANDLES_PER_REGISTRY, MAX_PATHS, REPORT_INTERVAL } from "./constants.js";
import { handleReleased, handleOpened } from "./collection-hint.js";
import { warn } from "../kernel/warn.js";

/**
 * The fallback of rule 19: cancels the scope of `handle` when the handle has been collected. A policy that is a
 * function must not refer to the handle: it would keep the handle alive.
 *
 * @param dropped - Whether the user usually drops it instead of closing it. Then it is registered without a token,
 *   because looking a token up is a quarter of the work of a collection. If such a handle is closed, its entry goes
 *   with the handle. The entry of any other handle is unregistered.
 */
export function watchHandle(
  handle: object,
  node: ScopeNode,
  policy: OrphanPolicy = "warn",
  dropped = false,
): void {
  if (typeof FinalizationRegistry !== "function" || isClosed(node)) return;
  if (policy !== "warn") markDroppable(node);
  const watch = dropped ? sharedWatch(policy) : new HandleWatch(policy, nextRegistry(), node);
  node.observer = watch;
  watch.registry.register(handle, node, dropped ? undefined : watch);
  handleOpened();
}

/** From now on, the scope ends as if its handle were held. To be called when its end has begun. */
export function unwatchHandle(node: ScopeNode): void {
  const { observer } = node;
  if (!(observer instanceof HandleWatch)) return;
  observer.resolve();
  node.observer = undefined;
}

/**
 * The observer of a node whose handle is watched. The registry holds the node for the handle, so neither reaches the
 * handle. Handles that need no token share one, as long as they have the same policy and the same registry.
 */
class HandleWatch implements Observer {
  readonly policy: OrphanPolicy;
  readonly registry: Registry;
  /** Set if the entry is unregistered when this node has ended. */
  readonly node: ScopeNode | undefined;

  constructor(policy: OrphanPolicy, registry: Registry, node: ScopeNode | undefined) {
    this.policy = policy;
    this.registry = registry;
    this.node = node;
  }

  /** The watch is not a receiver: a failure stays unhandled. */
  isReceiver(): boolean {
    return false;
  }

  resolve(): void {
    handleReleased();
    if (this.node !== undefined) this.registry.unregister(this);
  }

  /** If the failure waits for a disposal, the handle may still be collected instead. */
  reject(): void {
    if (this.node?.extras?.settings?.holdFailure === undefined) this.resolve();
    else handleReleased();
  }
}

let lastShared: HandleWatch | undefined;

function sharedWatch(policy: OrphanPolicy): HandleWatch {
  const registry = nextRegistry();
  if (lastShared?.registry !== registry || lastShared.policy !== policy)
    lastShared = new HandleWatch(policy, registry, undefined);
  return lastShared;
}

type Registry = FinalizationRegistry<ScopeNode>;

let registry: Registry | undefined;
let roomInRegistry = 0;

function nextRegistry(): Registry {
  if (registry === undefined || roomInRegistry === 0) {
    registry = new FinalizationRegistry(handleCollected);
    roomInRegistry = HANDLES_PER_REGISTRY;
  }
  roomInRegistry -= 1;
  return registry;
}

let collected = 0;

/** How many handles are known to have been collected. */
export function collectedHandleCount(): number {
  return collected;
}

function handleCollected(node: ScopeNode): void {
  collected += 1;
  if (isClosed(node)) return releaseFailure(node);
  const settings = node.extras?.settings;
  if (settings !== undefined) settings.holdFailure = undefined; // no code has the handle, so none can dispose of it
  if (isCancelled(node)) return; // it ends by itself
  const { policy } = node.observer as HandleWatch;
  node.observer = undefined;
  handleReleased();
  const info = policy !== "ignore" || hasOrphanSubscribers() ? orphanInfo(node) : undefined;
  cancelWith(node, orphanReason(node.path));
  if (info === undefined) return;
  publishOrphan(node, info);
  if (policy !== "ignore") announce(node, info, policy);
}

let latest: CancelledError | undefined;
const microtask = Promise.resolve();

/** One reason for all scopes with the same path that are collected together, since the reasons would be equal. */
function orphanReason(path: string): CancelledError {
  if (latest === undefined) void microtask.then(() => (latest = undefined));
  if (latest?.scope !== path) latest = createReason("orphaned", path);
  return latest;
}

function announce(node: ScopeNode, info: OrphanInfo, policy: OrphanPolicy): void {
  if (typeof policy !== "function") return warnOrphan(info, callbacks.get(node));
  try {
    const result: unknown = policy(info);
    if (isThenable(result)) result.then(undefined, (error: unknown) => report(node, error, node));
  } catch (error) {
    report(node, error, node); // here it would be an uncaught exception
  }
}

/** By scope: the method of its handle that received a callback which does not keep the handle alive. */
const callbacks = new WeakMap<ScopeNode, string>();

/** Records that a callback may be pending, for the warning if the handle is dropped. */
export function setPendingCallback(node: ScopeNode, method: string | undefined): void {
  if (method === undefined) callbacks.delete(node);
  else callbacks.set(node, method);
}

function orphanInfo(node: ScopeNode): OrphanInfo {
  let liveTasks = 0;
  for (const descendant of liveDescendants(node)) if (isTask(descendant)) liveTasks += 1;
  const { name, path } = node;
  const site = node.extras?.site;
  return {
    name,
    path,
    age: ageOf(node.startedAt),
    liveTasks,
    ...(site === undefined ? {} : { createdAt: site }),
  };
}

/** The number of further orphans by path, for the warnings of the last {@link REPORT_INTERVAL}. */
const recentPaths = new Map<string, number>();

/** Warns immediately about the first orphan of a path, and later about the following ones in one warning. */
function warnOrphan(info: OrphanInfo, callback: string | undefined): void {
  const key = recentPaths.has(info.path) || recentPaths.size < MAX_PATHS ? info.path : "";
  const more = recentPaths.get(key);
  if (more !== undefined) {
    recentPaths.set(key, more + 1);
    return;
  }
  recentPaths.set(key, 0);
  setUnrefTimer(() => warnFurtherOrphans(key), REPORT_INTERVAL);
  warn("BoughOrphanWarning", "BOUGH_ORPHAN", messageOf(info, callback));
}

function warnFurtherOrphans(key: string): void {
  const more = recentPaths.get(key) ?? 0;
  recentPaths.delete(key);
  if (more === 0) return;
  const which = key === "" ? "of other paths" : `named ${quotePath(key)}`;
  const message = `${more} more ${more === 1 ? "scope" : "scopes"} ${which} ${more === 1 ? "was" : "were"} dropped without being closed, and cancelled, in ${REPORT_INTERVAL / 1_000} s`;
  warn("BoughOrphanWarning", "BOUGH_ORPHAN", message);
}

function messageOf({ path, age, liveTasks, createdAt }: OrphanInfo, callback: string | undefined): string {
  const where =
    createdAt === undefined ? "set BOUGH_TRACE=1 to see where it was created" : `created at ${createdAt}`;
  const tasks = `${liveTasks} live ${liveTasks === 1 ? "task" : "tasks"}`;
  const used =
    callback === undefined
      ? ""
      : `. A callback given to ${callback}() may have been waiting: keep the handle as long as it is to be called`;
  return `Scope ${quotePath(path)} was dropped without being closed and has been cancelled (${tasks}, ${age} ms old; ${where})${used}`;
}
