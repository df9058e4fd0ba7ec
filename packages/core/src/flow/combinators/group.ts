import { createReason } from "../../errors/cancelled.js";
import { wrongType, requireFunction } from "../../errors/validate.js";
import { publishStart } from "../../kernel/diagnostics.js";
import type { ScopeKind } from "../../kernel/scope-kind.js";
import { initialTask, isLive, markCutShort } from "../../kernel/state.js";
import type { ScopeNode } from "../../kernel/node.js";
import { withResolvers, type Observer } from "../../kernel/observer.js";
import { rejectBeforeStart, throttleIfStartedCancelled } from "../../kernel/throttled-results.js";
import type { Scope } from "../../kernel/scope.js";
import { interrupted, interruptedSteps } from "../../kernel/interrupted-steps.js";
import { firstError } from "../../kernel/outcome.js";
import { bodyReturned, resumeBodyThrew, cancelWith, fail } from "../../kernel/lifecycle.js";
import { suppressFailures, suppressUnderReason } from "../../kernel/suppressed-failures.js";
import { linkChild, makeChild, makeLiveChild, startChild } from "../../task/child.js";
import { nodeOf } from "../../task/node-of.js";
import type { Routine } from "../../task/routine.js";
import type { Worker } from "../../task/worker.js";
import { checkCombinatorOptions, type CombinatorOptions } from "./combinator-options.js";

/** The result of a worker: the value of its promise or of its Effection operation, otherwise its return value. */
export type WorkerResult<W> = W extends (scope: Scope) => infer R
  ? R extends Routine<infer T>
    ? T
    : Awaited<R>
  : never;

/**
 * The scope of a combinator, and the promise that the combinator returns.
 *
 * The scope is a child of the caller's scope. As with `withScope`, only the caller receives its failure, and it does
 * not settle before every member has settled. A member notifies the group synchronously when it settles; there is no
 * promise for each member. The subclass defines how a result changes the outcome.
 */
export abstract class Group<R> {
  readonly node: ScopeNode;
  readonly promise: Promise<R>;
  /** The call site of the public function, while tracing is on. */
  readonly site: string | undefined;
  /** Whether the outcome is known. From then on no member is started. */
  decided = false;
  /** The error with which the {@link ignoredFailures} were recorded. */
  #recordedWith: unknown;

  /**
   * Creates the node. It is not in the tree until it is started.
   *
   * @param operation - The public function. The node has its name, unless the options have another.
   * @param site - The call site of that function.
   * @param initialState - `initialGroup` for a group that {@link startAll} ends, `initialScope` for one that `begin`
   * starts.
   * @throws The reason if `scope` is cancelled, `ScopeClosedError` if it has ended: nothing was started.
   */
  constructor(
    operation: string,
    site: string | undefined,
    scope: Scope,
    initialState: number,
    options?: CombinatorOptions,
  ) {
    const parent = nodeOf(operation, "scope", scope);
    this.site = site;
    this.node = makeLiveChild(operation, parent, options?.name ?? operation, initialState);
    const observer = withResolvers<R>();
    this.node.observer = observer;
    this.promise = observer.promise;
  }

  /** Called when a member has succeeded. */
  abstract succeeded(value: unknown, index: number): void;
  /** Called when a member has failed, or has cancelled itself, while the group was neither decided nor cancelled. */
  abstract failed(error: unknown, index: number): void;
  /** The failures that did not decide the outcome. They are in `suppressed()` of the error that the group rejects with. */
  ignoredFailures(): readonly unknown[] {
    return [];
  }

  /** Called when there are no workers. */
  noWorkers(): void {}

  /** Starts one member, named after `label`; `startedAt` is given if it starts together with the group. */
  // oxlint-disable-next-line typescript/no-unsafe-function-type -- only its name is read
  start(label: Function, worker: Worker<unknown>, index: number, startedAt?: number): void {
    const member = makeChild("spawn", this.node, label, initialTask, undefined, startedAt);
    member.observer = new MemberObserver(this, member, index);
    startChild(member, worker, undefined, this.site); // if the worker can't begin, the group fails, and so the member is cancelled
  }

  /** Starts the members in order until the outcome is known, then ends the body of the group. */
  startAll(workers: readonly Worker<unknown>[]): void {
    let index = 0;
    if (this.node.cancelled) markCutShort(this.node);
    else if (workers.length === 0) this.noWorkers();
    for (; index < workers.length && !this.decided && !this.node.cancelled; index++) {
      const worker = workers[index] as Worker<unknown>;
      this.start(worker, worker, index, this.node.startedAt); // reading the clock would cost a sixth of an `all`
    }
    if (index < workers.length && !this.decided) markCutShort(this.node);
    bodyReturned(this.node, this.node.value);
  }

  /** Called when the outcome is known: cancels the members that are still running, but not the group. */
  decide(): void {
    this.decided = true;
    const losers: ScopeNode[] = [];
    for (let child = this.node.first; child !== undefined; child = child.next) {
      if (isLive(child)) losers.push(child);
    }
    if (losers.length === 0) return;
    const reason = createReason("closed", this.node.path);
    for (const loser of losers) if (isLive(loser)) cancelWith(loser, reason);
  }

  /** Called when a member has rejected. After the decision, a failure (in a cleanup) is a failure of the group. */
  rejected(member: ScopeNode, error: unknown, index: number): void {
    const node = this.node;
    if (!this.decided && !node.cancelled) return this.failed(error, index);
    for (const each of member.extras?.errors?.keys() ?? []) fail(node, each);
    const wasCancelled = node.cancelled && member.reason === node.reason;
    this.#recordIgnored(firstError(node) ?? (wasCancelled ? node.reason : undefined));
  }

  /** Records the ignored failures once for each error: none is added after the decision or the cancellation. */
  #recordIgnored(outcome: unknown): void {
    if (outcome === undefined || outcome === this.#recordedWith) return;
    this.#recordedWith = outcome;
    if (this.node.extras?.errors === undefined) suppressUnderReason(this.node, this.ignoredFailures());
    else suppressFailures(this.node, this.ignoredFailures());
  }
}

/** Receives the result of one member, which has no task. */
class MemberObserver implements Observer {
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

  /** The body of the group only starts the member. */
  get isAwaited(): boolean {
    return false;
  }

  get isMember(): boolean {
    return true;
  }

  /** The runtime was interrupted, so the state that the group keeps of its members may be wrong. */
  interrupted(error: unknown): void {
    fail(this.#group.node, error);
  }
}

/** Starts `workers` in the group that `make` returns. Rejects, and does not throw, if an argument is bad. */
export function runGroup<R>(
  operation: ScopeKind,
  workers: readonly Worker<unknown>[],
  options: CombinatorOptions | undefined,
  make: () => Group<R>,
): Promise<R> {
  try {
    checkWorkers(operation, workers);
    if (options !== undefined) checkCombinatorOptions(operation, options);
    const group = make();
    linkChild(group.node, timeoutOption(options), group.site);
    try {
      const stores = publishStart(group.node, operation);
      if (stores === undefined) group.startAll(workers);
      else stores.run(startAll, group, workers);
    } catch (error) {
      interruptedSteps[interruptedSteps.length] = resumeBodyThrew;
      interruptedSteps[interruptedSteps.length] = group.node;
      interruptedSteps[interruptedSteps.length] = error;
      interrupted.wake(undefined);
    }
    return options === undefined ? group.promise : throttleIfStartedCancelled(group.node, group.promise);
  } catch (error) {
    return rejectBeforeStart(error);
  }
}

function startAll(group: Group<unknown>, workers: readonly Worker<unknown>[]): void {
  group.startAll(workers);
}

/**
 * The options that {@link linkChild} reads. The others may have the same names as options of a scope, and mean
 * something else.
 */
export function timeoutOption(options: CombinatorOptions | undefined): { timeout: number } | undefined {
  return options?.timeout === undefined ? undefined : { timeout: options.timeout };
}

function checkWorkers(operation: string, workers: readonly unknown[]): void {
  if (!Array.isArray(workers)) {
    throw wrongType(operation, "workers must be an array of functions", workers);
  }
  for (let index = 0; index < workers.length; index++) {
    requireFunction(operation, `workers[${index}]`, workers[index]);
  }
}
