import { AsyncLocalStorage } from "node:async_hooks";
import type { ScopeNode } from "../../kernel/node.js";
import { backgroundNode } from "../../kernel/scope-view.js";
import { liveDescendants, nextInSubtree } from "../../kernel/tree.js";
import { isClosed, isHandleOrAttached, mayBeDropped } from "../../kernel/state.js";
import { setChildWatcher, watchChildren } from "../../kernel/child-watcher.js";

/**
 * One run of `expectNoLeaks`, typically one test. The scopes and resources that are made in its async context belong to it, so
 * that tests can run at the same time. Only this layer uses an AsyncLocalStorage; the stored object refers to nothing.
 */
export class TestRun {
  /** Whether objects without a test run belong to it: the resources that modules made while they were loaded. */
  readonly includesUnassigned: boolean;
  #handles: ScopeNode[] = [];
  #room = 1_000;

  constructor(includesUnassigned: boolean) {
    this.includesUnassigned = includesUnassigned;
  }

  /** Adds a scope with an owner handle. Closed scopes are removed periodically. */
  addHandle(node: ScopeNode): void {
    this.#handles.push(node);
    if (this.#handles.length < this.#room) return;
    this.#handles = this.#handles.filter((each) => !isClosed(each) || wasOrphaned(each));
    this.#room = 2 * this.#handles.length + 1_000;
  }

  /**
   * The scopes that were cancelled because their handle was collected. They are leaks, too: otherwise the result would depend
   * on whether the garbage collector has run. Left out are scopes with an `onOrphan` option, which may be dropped.
   */
  orphans(): ScopeNode[] {
    return this.#handles.filter(wasOrphaned);
  }
}

function wasOrphaned(node: ScopeNode): boolean {
  return node.reason?.kind === "orphaned" && node.reason.scope === node.path && !mayBeDropped(node);
}

const storage = new AsyncLocalStorage<TestRun>();

export function currentTestRun(): TestRun | undefined {
  return storage.getStore();
}

export function runAs<T>(testRun: TestRun, body: () => T): T {
  return storage.run(testRun, body);
}

/** Whether an object of the run `other` counts for `testRun`. Without a test run all objects count. */
export function countsFor(testRun: TestRun | undefined, other: TestRun | undefined): boolean {
  return testRun === undefined || testRun === other || (other === undefined && testRun.includesUnassigned);
}

/** The test runs of nodes whose parent has none; other nodes belong to the run of their parent. */
const testRuns = new WeakMap<ScopeNode, TestRun>();
let watching = false;

/** From now on, records the test run of each new root, and of each new child of a scope that tests share. */
export function watchScopes(): void {
  if (watching) return;
  watching = true;
  setChildWatcher((child) => {
    const testRun = currentTestRun();
    if (testRun === undefined) return watchChildren(child);
    testRuns.set(child, testRun);
    if (isHandleOrAttached(child)) testRun.addHandle(child);
  });
  watchChildren(backgroundNode);
  for (const node of liveDescendants(backgroundNode)) watchChildren(node);
}

/** The live scopes that count for `testRun`, parents first. */
export function liveScopesOf(testRun: TestRun | undefined): ScopeNode[] {
  if (testRun === undefined) return [...liveDescendants(backgroundNode)];
  const found: ScopeNode[] = [];
  const runOf = new Map<ScopeNode, TestRun | undefined>();
  const next = (at: ScopeNode) => nextInSubtree(backgroundNode, at, false);
  for (let node = next(backgroundNode); node !== undefined; node = next(node)) {
    const run = testRuns.get(node) ?? runOf.get(node.parent as ScopeNode);
    runOf.set(node, run);
    if (!isClosed(node) && countsFor(testRun, run)) found.push(node);
  }
  return [...found, ...testRun.orphans().filter((node) => isClosed(node))];
}
