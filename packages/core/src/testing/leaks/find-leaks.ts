import { isLeftByClock } from "../../inspect/virtual-clock-scopes.js";
import { taskInfo } from "../../kernel/diagnostics.js";
import { isTask, mayBeDropped } from "../../kernel/state.js";
import type { ScopeNode } from "../../kernel/node.js";
import { liveDescendants } from "../../kernel/tree.js";
import { nodeOf } from "../../task/node-of.js";
import { collectGarbage } from "../heap/collect-garbage.js";
import { delay, now, turn } from "../clock/real-time.js";
import { IgnoredLeaks } from "./ignored-leaks.js";
import {
  checkLeakOptions,
  DEFAULT_TIMEOUT,
  filtersOf,
  type LeakFilter,
  type LeakOptions,
} from "./options.js";
import { currentTestRun, liveScopesOf, type TestRun } from "./test-run.js";
import { LeakError, type LeakReport } from "./report.js";
import { heldResources, type Found } from "./resources.js";
import { plain } from "./stack.js";

/**
 * The longest pause between two searches, in ms. The first pause is 1, and each is twice as long as the previous one.
 */
const MAX_PAUSE = 100;

/**
 * Finds leaks: scopes that were not closed, tasks that have not settled, and other resources that keep the process alive.
 * Such resources are timers, sockets, servers, child processes and threads.
 *
 * A resource that is found at first may be about to end. So the search is repeated, with growing pauses, until nothing is left
 * or `timeout` has passed.
 *
 * Called inside `expectNoLeaks`, or in a test that `bough/vitest` checks, it finds only the leaks of that test; elsewhere, those
 * of the whole process. It does not know where an object was made that is older than `recordOrigins()`.
 *
 * @param options - Where to look, what to ignore, and for how long to wait, in ms.
 * @returns The leaks, scopes first, parents before their children. Empty if there are none.
 * @throws {TypeError | RangeError} If an option is bad (as a rejection).
 * @example
 * ```ts
 * const server = createScope({ name: "server" });
 * const [leak] = await findLeaks({ timeout: 0 });
 * console.log(leak?.kind, leak?.path, leak?.status); // scope server open
 * await server.close();
 * ```
 */
export async function findLeaks(options: LeakOptions = {}): Promise<LeakReport[]> {
  checkLeakOptions("findLeaks", options);
  return search(options, currentTestRun());
}

/**
 * As {@link findLeaks}, but throws when there is a leak. Call it at the end of a test or of a suite.
 *
 * @param options - Where to look, what to ignore, and for how long to wait, in ms.
 * @throws {LeakError} Each leak with its path, age, status and where it was spawned (as a rejection).
 * @throws {TypeError | RangeError} If an option is bad (as a rejection).
 * @example
 * ```ts
 * await withScope(async (scope) => {
 *   spawn(scope, (task) => sleep(task, 5));
 * });
 * await verifyNoLeaks();
 * ```
 */
export async function verifyNoLeaks(options: LeakOptions = {}): Promise<void> {
  checkLeakOptions("verifyNoLeaks", options);
  await verify(options, currentTestRun());
}

/**
 * Notes the scopes, tasks and resources that are alive now. Passed as `ignore`, the result limits a later check to
 * scopes and resources that were made after this call. A new task in an old scope is new.
 *
 * @returns The option `ignore` of a later check.
 * @example
 * ```ts
 * const cache = createScope({ name: "cache" }); // lives as long as the process
 * const ignore = ignoreCurrent();
 * await verifyNoLeaks({ ignore });
 * await cache.close();
 * ```
 */
export function ignoreCurrent(): LeakOptions["ignore"] {
  return currentLeaks();
}

export function currentLeaks(): IgnoredLeaks {
  return new IgnoredLeaks([...liveScopesOf(undefined).map(foundNode), ...heldResources(undefined)]);
}

export async function verify(options: LeakOptions, testRun: TestRun | undefined): Promise<void> {
  const leaks = await search(options, testRun);
  if (leaks.length === 0) return;
  throw new LeakError(leaks, `${options.timeout ?? DEFAULT_TIMEOUT} ms after the end`);
}

async function search(options: LeakOptions, testRun: TestRun | undefined): Promise<LeakReport[]> {
  const end = now() + (options.timeout ?? DEFAULT_TIMEOUT);
  await turn(); // the handle of `listen` or `connect` exists from the next tick on; a closed one is gone a turn later
  let leaks = look(options, testRun);
  for (let pause = 1; leaks.length > 0 && now() < end; pause = Math.min(2 * pause, MAX_PAUSE)) {
    await delay(Math.min(pause, end - now()));
    leaks = look(options, testRun);
  }
  if (leaks.length === 0 || !findNodes(options, testRun).some(mayBeDropped)) return leaks;
  // A handle that may be dropped is not a leak once it is collected, which may take the collector a while.
  await collectGarbage();
  return look(options, testRun);
}

function look(options: LeakOptions, testRun: TestRun | undefined): LeakReport[] {
  let found = findNodes(options, testRun).map(foundNode);
  if (options.scope === undefined && options.resources !== false) found.push(...heldResources(testRun));
  for (const filter of filtersOf(options)) found = without(filter, found);
  return found.map(({ report }) => report);
}

function findNodes({ scope }: LeakOptions, testRun: TestRun | undefined): readonly ScopeNode[] {
  if (scope === undefined) return liveScopesOf(testRun);
  return [...liveDescendants(nodeOf("findLeaks", "scope", scope))];
}

function foundNode(node: ScopeNode): Found {
  const { status, spawnedAt, ...info } = taskInfo(node);
  const isTaskNode = isTask(node);
  return {
    identity: node,
    report: {
      kind: isTaskNode ? "task" : "scope",
      status: isTaskNode ? status : stateOf(node),
      ...info,
      ...(isLeftByClock(node) ? { leftByClock: true as const } : {}),
      ...(spawnedAt === undefined ? {} : { spawnedAt: plain(spawnedAt) }),
    },
  };
}

/** The status in a report. A closed scope is reported only if it is an orphan. */
function stateOf(node: ScopeNode): LeakReport["status"] {
  return node.state === "closed" ? "orphaned" : node.state;
}

function without(filter: LeakFilter, found: readonly Found[]): Found[] {
  if (filter instanceof IgnoredLeaks) return IgnoredLeaks.except(filter, found);
  return found.filter(({ report }) => !matches(filter, report));
}

function matches(filter: Exclude<LeakFilter, IgnoredLeaks>, report: LeakReport): boolean {
  if (typeof filter === "function") return filter(report);
  if (typeof filter === "string") return report.name === filter || report.path === filter;
  // Not `test`, which is stateful for a pattern with the g flag.
  return report.name.search(filter) >= 0 || report.path.search(filter) >= 0;
}
