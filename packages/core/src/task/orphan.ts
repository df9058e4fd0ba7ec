import { createReason } from "../errors/cancelled.js";
import { quotePath } from "../errors/describe.js";
import { ageSince } from "../kernel/clock.js";
import { CANCELLED, CLOSED, TASK } from "../kernel/flags.js";
import type { ScopeNode } from "../kernel/node.js";
import type { OrphanInfo, OrphanPolicy } from "../kernel/orphan-info.js";
import { report } from "../kernel/report.js";
import { cancelWith } from "../kernel/settle.js";
import { liveDescendants } from "../kernel/tree.js";
import { warn } from "../kernel/warn.js";

/**
 * The fallback of contract rule 19: cancels a scope whose owner handle was collected. What the registry holds for
 * a handle is its node, which does not reach the handle. (A `function` policy that mentions the handle does, and
 * so pins it, as any closure would.)
 */
export function watchHandle(handle: object, node: ScopeNode, policy: OrphanPolicy): void {
  if (registry === undefined || (node.flags & CLOSED) !== 0) return;
  const settings = node.settings();
  settings.registry = registry;
  settings.onOrphan = policy;
  registry.register(handle, node, node);
}

const registry = typeof FinalizationRegistry === "function" ? new FinalizationRegistry(reclaim) : undefined;

function reclaim(node: ScopeNode): void {
  node.settings().registry = undefined; // has let go of it already
  if ((node.flags & (CLOSED | CANCELLED)) !== 0) return; // winds up by itself; its owner has nothing left to forget
  const policy = node.settings().onOrphan ?? "warn";
  const info = policy === "ignore" ? undefined : orphanInfo(node);
  cancelWith(node, createReason("orphaned", node.path, undefined));
  if (info !== undefined) announce(node, info, policy);
}

function announce(node: ScopeNode, info: OrphanInfo, policy: OrphanPolicy): void {
  if (typeof policy !== "function") return warnOf(info);
  try {
    policy(info);
  } catch (error) {
    report(node, error, node); // here it would be an uncaught exception
  }
}

function orphanInfo(node: ScopeNode): OrphanInfo {
  let liveTasks = 0;
  for (const descendant of liveDescendants(node)) if ((descendant.flags & TASK) !== 0) liveTasks += 1;
  const { name, path } = node;
  const site = node.rarely?.site;
  return {
    name,
    path,
    age: ageSince(node.startedAt),
    liveTasks,
    ...(site === undefined ? {} : { createdAt: site }),
  };
}

function warnOf({ path, age, liveTasks, createdAt }: OrphanInfo): void {
  const where =
    createdAt === undefined ? "set BOUGH_TRACE=1 to see where it was created" : `created at ${createdAt}`;
  const tasks = `${liveTasks} live ${liveTasks === 1 ? "task" : "tasks"}`;
  const message = `Scope ${quotePath(path)} was dropped without being closed and has been cancelled (${tasks}, ${age} ms old; ${where})`;
  warn("BoughOrphanWarning", "BOUGH_ORPHAN", message);
}
