import { AsyncLocalStorage } from "node:async_hooks";
import type { ScopeNode } from "../../kernel/node.js";
import { backgroundNode } from "../../kernel/scope-view.js";
import { liveDescendants, nextInSubtree } from "../../kernel/tree.js";
import { isClosed, isHandleOrAttached, mayBeDropped } from "../../kernel/state.js";
import { setChildWatcher, watch } from "../../kernel/watch.js";

/**
 * Whose something is: one run of `expectNoLeaks`, which is typically one test. It travels with the async context, so
 * that tests that run at the same time can be told apart. Only this layer uses an AsyncLocalStorage; what it
 * stores refers to nothing.
 */
export class TestRun {
  /** Also owns what belongs to no owner at all: what a file's modules started while they were loaded. */
  readonly adoptsStrays: boolean;
  #handles: ScopeNode[] = [];
  #room = 1_000;

  constructor(adoptsStrays: boolean) {
    this.adoptsStrays = adoptsStrays;
  }

  /** Remembers a scope that has an owner handle. Those that were closed are forgotten now and then. */
  addHandle(node: ScopeNode): void {
    this.#handles.push(node);
    if (this.#handles.length < this.#room) return;
    this.#handles = this.#handles.filter((each) => !isClosed(each) || wasOrphaned(each));
    this.#room = 2 * this.#handles.length + 1_000;
  }

  /**
   * The scopes that nobody closed, but the garbage collector did: leaks, too, or the verdict would depend on whether it
   * ran in time. Not where the user has said that dropping the handle is all right.
   */
  orphans(): ScopeNode[] {
    return this.#handles.filter(wasOrphaned);
  }
}

function wasOrphaned(node: ScopeNode): boolean {
  return node.reason?.kind === "orphaned" && node.reason.scope === node.path && !mayBeDropped(node);
}

const storage = new AsyncLocalStorage<TestRun>();

export function currentOwner(): TestRun | undefined {
  return storage.getStore();
}

export function runAs<T>(owner: TestRun, body: () => T): T {
  return storage.run(owner, body);
}

/** Whether what belongs to `other` is the affair of `owner`; without an owner everything is. */
export function concerns(owner: TestRun | undefined, other: TestRun | undefined): boolean {
  return owner === undefined || owner === other || (other === undefined && owner.adoptsStrays);
}

/** Only of nodes below one that nobody owns; the others belong to whom their parent does. */
const owners = new WeakMap<ScopeNode, TestRun>();
let watching = false;

/** From now on, notes in whose context each scope was made that is a root or below a scope that tests share. */
export function watchScopes(): void {
  if (watching) return;
  watching = true;
  setChildWatcher((child) => {
    const owner = currentOwner();
    if (owner === undefined) return watch(child);
    owners.set(child, owner);
    if (isHandleOrAttached(child)) owner.addHandle(child);
  });
  watch(backgroundNode);
  for (const node of liveDescendants(backgroundNode)) watch(node);
}

/** The live scopes that are the affair of `owner`, parents first. */
export function liveScopesOf(owner: TestRun | undefined): ScopeNode[] {
  if (owner === undefined) return [...liveDescendants(backgroundNode)];
  const found: ScopeNode[] = [];
  const ownerOf = new Map<ScopeNode, TestRun | undefined>();
  const next = (at: ScopeNode) => nextInSubtree(backgroundNode, at, false);
  for (let node = next(backgroundNode); node !== undefined; node = next(node)) {
    const whose = owners.get(node) ?? ownerOf.get(node.parent as ScopeNode);
    ownerOf.set(node, whose);
    if (!isClosed(node) && concerns(owner, whose)) found.push(node);
  }
  return [...found, ...owner.orphans().filter((node) => isClosed(node))];
}
