import { createReason } from "../../errors/cancelled.js";
import { wrongType, requireFunction } from "../../errors/validate.js";
import { opening } from "../../kernel/diagnostics.js";
import type { ScopeKind } from "../../kernel/scope-kind.js";
import { CANCELLED, CLOSED, CUT, QUEUED, TASK } from "../../kernel/state.js";
import { checkHeadroom } from "../../kernel/headroom.js";
import { ScopeNode } from "../../kernel/node.js";
import { createPromised, type Observer } from "../../kernel/promised.js";
import { failToBegin } from "../../kernel/refusal.js";
import type { Scope } from "../../kernel/scope.js";
import { unfinished } from "../../kernel/interrupted-steps.js";
import { bodyReturned, bodyThrewAgain, cancelWith, fail, firstError } from "../../kernel/lifecycle.js";
import { passOver, passOverForReason } from "../../kernel/rejections.js";
import { admits, bornCancelled } from "../../task/admit.js";
import { nodeOf } from "../../task/resolve.js";
import type { Routine } from "../../task/routine.js";
import { begin, type Worker } from "../../task/run.js";
import { addChild } from "../../task/start-child.js";

/** What a worker comes to: the value of its promise or of its Effection operation, else what it returns. */
export type WorkerResult<W> = W extends (scope: Scope) => infer R ? Outcome<R> : never;
type Outcome<R> = R extends Routine<infer T> ? T : Awaited<R>;

/**
 * The scope of a combinator: a child of the caller's, whose failure goes to the caller alone, as with `withScope`,
 * and which does not settle before every member has. A member that settles tells the group at once, without a
 * promise of its own; the group decides what that means.
 */
export abstract class Group<R> {
  readonly node: ScopeNode;
  readonly promise: Promise<R>;
  /** Where the public function was called that this works for. */
  readonly site: string | undefined;
  /** The outcome is known: nothing more is started. */
  decided = false;
  /** What {@link passedOver} was kept with. */
  #keptWith: unknown;

  /**
   * @param flags - `BODY` for a group that is ended by {@link startAll}, `QUEUED` for one that `begin` starts.
   * @param site - Where the public function was called.
   * The group is not in the tree yet: that is for what starts it.
   *
   * @throws The reason if `scope` is cancelled, `ScopeClosedError` if it has ended: nothing was started.
   */
  constructor(operation: string, site: string | undefined, scope: Scope, flags: number) {
    const parent = nodeOf(operation, "scope", scope);
    checkHeadroom();
    this.site = site;
    const observer = createPromised<R>();
    this.node = new ScopeNode(parent, operation, flags);
    this.node.observer = observer;
    this.promise = observer.promise;
    if (!admits(operation, parent)) throw bornCancelled(this.node).reason;
  }

  /** A member has succeeded. */
  abstract succeeded(value: unknown, index: number): void;
  /** A member has failed, or has cancelled itself, while the group was neither decided nor cancelled. */
  abstract failed(error: unknown, index: number): void;
  /** The failures that have decided nothing: they are kept with what the group rejects with instead. */
  passedOver(): readonly unknown[] {
    return [];
  }

  /** There are no workers. */
  hasNone(): void {}

  /** Starts one member, named after `label`. */
  // oxlint-disable-next-line typescript/no-unsafe-function-type -- only its name is read
  start(label: Function, worker: Worker<unknown>, index: number): void {
    const member = new ScopeNode(this.node, label, TASK | QUEUED);
    member.observer = new Member(this, member, index);
    addChild(member, undefined, this.site);
    begin(member, worker); // if it can't, the group fails, and so the member is cancelled
  }

  /** Starts the members in order, until the group is decided. Then the body of the group has ended. */
  startAll(workers: readonly Worker<unknown>[]): void {
    let index = 0;
    if (workers.length === 0) this.hasNone();
    for (; index < workers.length && !this.decided && !this.node.cancelled; index++) {
      const worker = workers[index] as Worker<unknown>;
      this.start(worker, worker, index);
    }
    if (index < workers.length && !this.decided) this.node.flags |= CUT;
    bodyReturned(this.node, this.node.value);
  }

  /** The outcome is known: the members that are still alive are losers. The group itself is not cancelled. */
  decide(): void {
    this.decided = true;
    const losers: ScopeNode[] = [];
    for (let child = this.node.first; child !== undefined; child = child.next) {
      if ((child.flags & (CANCELLED | CLOSED)) === 0) losers.push(child);
    }
    if (losers.length === 0) return;
    const reason = createReason("closed", this.node.path, undefined);
    for (const loser of losers) if ((loser.flags & (CANCELLED | CLOSED)) === 0) cancelWith(loser, reason);
  }

  /** What a member rejected with. After the decision a failure, of a clean-up that is, is the group's. */
  rejected(member: ScopeNode, error: unknown, index: number): void {
    const node = this.node;
    if (!this.decided && !node.cancelled) return this.failed(error, index);
    for (const each of member.rarely?.errors?.keys() ?? []) fail(node, each);
    const wasCut = node.cancelled && member.reason === node.reason;
    this.#keep(firstError(node) ?? (wasCut ? node.reason : undefined));
  }

  /** Once for each: after the decision or the cancellation, nothing is passed over any more. */
  #keep(outcome: unknown): void {
    if (outcome === undefined || outcome === this.#keptWith) return;
    this.#keptWith = outcome;
    if (this.node.rarely?.errors === undefined) passOverForReason(this.node, this.passedOver());
    else passOver(this.node, this.passedOver());
  }
}

/** Watches one member, which is no task that anybody holds. */
class Member implements Observer {
  readonly #group: Group<unknown>;
  readonly #node: ScopeNode;
  readonly #index: number;

  constructor(group: Group<unknown>, node: ScopeNode, index: number) {
    this.#group = group;
    this.#node = node;
    this.#index = index;
  }

  resolve(value: unknown): void {
    this.#group.succeeded(value, this.#index);
  }

  reject(error: unknown): void {
    this.#group.rejected(this.#node, error, this.#index);
  }

  /** Not by the body of the group, which is what starts it. */
  get isAwaited(): boolean {
    return false;
  }

  /** What the group knows of its members may be wrong now. */
  interrupted(error: unknown): void {
    fail(this.#group.node, error);
  }
}

/** Starts `workers` in the group that `make` makes. Every error of the arguments is a rejection. */
export function runGroup<R>(
  operation: ScopeKind,
  workers: readonly Worker<unknown>[],
  make: () => Group<R>,
): Promise<R> {
  try {
    checkWorkers(operation, workers);
    const group = make();
    addChild(group.node, undefined, group.site);
    try {
      const stores = opening(group.node, operation);
      if (stores === undefined) group.startAll(workers);
      else stores.run(startAll, group, workers);
    } catch (error) {
      const { steps } = unfinished;
      steps[steps.length] = bodyThrewAgain;
      steps[steps.length] = group.node;
      steps[steps.length] = error;
      unfinished.wake?.(undefined);
      unfinished.wake = undefined;
    }
    return group.promise;
  } catch (error) {
    return failToBegin(error);
  }
}

function startAll(group: Group<unknown>, workers: readonly Worker<unknown>[]): void {
  group.startAll(workers);
}

function checkWorkers(operation: string, workers: readonly unknown[]): void {
  if (!Array.isArray(workers)) {
    throw wrongType(operation, "workers must be an array of functions", workers);
  }
  for (let index = 0; index < workers.length; index++) {
    requireFunction(operation, `workers[${index}]`, workers[index]);
  }
}
