import { refuseOptions, requireFunction } from "../../errors/validate.js";
import { callSite } from "../../kernel/call-site.js";
import { cancel, fail } from "../../kernel/lifecycle.js";
import type { ScopeNode } from "../../kernel/node.js";
import type { Observer } from "../../kernel/observer.js";
import { rejectBeforeStart, rejectUnlessLive } from "../../kernel/throttled-results.js";
import type { Scope } from "../../kernel/scope.js";
import { initialScope, initialTask } from "../../kernel/state.js";
import { makeChild, makeLiveChild, startChild } from "../../task/child.js";
import { nodeOf } from "../../task/node-of.js";
import type { Worker } from "../../task/worker.js";
import { QueuedWait, WaitQueue } from "./wait-queue.js";

/** Shares work among callers that want the same result at the same time. Made by {@link createSingleFlight}. */
export interface SingleFlight<K, T> {
  /**
   * Runs `worker`, or joins the call for the same `key` that is running already, and resolves with the value.
   *
   * A key is free again as soon as its worker's scope has settled: no result is kept.
   *
   * **Cancellation:** rejects with the reason of `scope` as soon as that is cancelled. The worker continues for the
   * other callers. When the last caller has left, the worker is cancelled with kind `"closed"`, and a later call starts
   * a new one.
   *
   * **Failure:** a failure of the worker rejects the promise of each caller, and is not a failure of the owner. A failure
   * after the last caller has left, in a cleanup, is one of the owner.
   *
   * @param scope - The scope that waits.
   * @param key - Keys are compared as in a `Map`.
   * @param worker - Called synchronously, if no call for the key is running, in a task of the owner. It has the deadline and
   *   the context values of the owner, not those of `scope`.
   * @returns The value that the worker of the shared call returned.
   * @throws {CancelledError} (as a rejection) The reason of `scope`, or that of the owner.
   * @throws {ScopeClosedError} (as a rejection) If `scope` or the owner has ended, or ends while this waits.
   * @throws {TypeError} (as a rejection) If an argument is of the wrong type. Nothing was started.
   */
  do(scope: Scope, key: K, worker: Worker<T>): Promise<T>;
}

/**
 * Creates a single flight: callers of its `do` with the same key share one run of their worker, as with Go's `singleflight`.
 *
 * Use it in front of a cache or a slow service, so that a hundred requests for one missing entry load it once.
 *
 * **Cancellation:** if a caller is cancelled, the worker continues for the others. When the last caller has left, the
 * worker is cancelled. When `owner` is cancelled, so are all workers, and their callers get its reason.
 *
 * **Failure:** each caller receives the failure of the worker.
 *
 * @param owner - The scope in which the workers run, as tasks. It must outlive the callers, like the scope of a server,
 *   unlike that of a request.
 * @returns The single flight.
 * @throws {TypeError} If `owner` is not a scope.
 * @example
 * ```ts
 * await withScope(async (server) => {
 *   const users = createSingleFlight<number, string>(server);
 *   let queries = 0;
 *   const load = (request: Scope, id: number) =>
 *     users.do(request, id, async (own) => {
 *       queries += 1;
 *       await sleep(own, 1);
 *       return `user ${id}`;
 *     });
 *   const found = await all(server, [(own) => load(own, 7), (own) => load(own, 7)]);
 *   console.log(found, queries); // [ 'user 7', 'user 7' ] 1
 * });
 * ```
 */
export function createSingleFlight<K, T>(owner: Scope): SingleFlight<K, T>;
export function createSingleFlight<K, T>(owner: Scope, extra?: unknown): SingleFlight<K, T> {
  refuseOptions("createSingleFlight", extra);
  return new Flights<K, T>(nodeOf("createSingleFlight", "owner", owner));
}

class Flights<K, T> implements SingleFlight<K, T> {
  /** Not an owner handle: that must stay collectable. */
  readonly #owner: ScopeNode;
  readonly #byKey = new Map<K, Flight<K, T>>();

  constructor(owner: ScopeNode) {
    this.#owner = owner;
  }

  do(scope: Scope, key: K, worker: Worker<T>, extra?: unknown): Promise<T> {
    try {
      refuseOptions("do", extra);
      const node = nodeOf("do", "scope", scope);
      requireFunction("do", "worker", worker);
      return rejectUnlessLive("do", node) ?? this.#join(node, key, worker);
    } catch (error) {
      return rejectBeforeStart(error);
    }
  }

  #join(node: ScopeNode, key: K, worker: Worker<T>): Promise<T> {
    const running = this.#byKey.get(key);
    if (running !== undefined) return running.join(node);
    const task = makeLiveChild("do", this.#owner, "singleFlight", initialTask);
    const flight = new Flight<K, T>(this.#byKey, key, task);
    const promise = flight.join(node);
    // oxlint-disable-next-line typescript/unbound-method -- only its identity matters
    flight.begin(worker, callSite(Flights.prototype.do));
    return promise;
  }
}

/**
 * One run of a worker, and the callers that wait for it.
 *
 * The worker runs in an inner scope of the task, and the flight receives the outcome of that scope. So a failure goes
 * to the callers. It reaches the task, and with it the owner, only if there is no caller.
 */
class Flight<K, T> implements Observer {
  readonly #flights: Map<K, Flight<K, T>>;
  readonly #key: K;
  readonly #task: ScopeNode;
  readonly #callers = new WaitQueue<Caller<T>>();
  /** The scope of the worker. `undefined` while the task waits for a slot of the owner's `concurrency`. */
  #node: ScopeNode | undefined;
  #settled = false;

  constructor(flights: Map<K, Flight<K, T>>, key: K, task: ScopeNode) {
    this.#flights = flights;
    this.#key = key;
    this.#task = task;
    flights.set(key, this);
  }

  join(node: ScopeNode): Promise<T> {
    const caller = new Caller<T>(node, this);
    this.#callers.push(caller);
    return caller.promise;
  }

  begin(worker: Worker<T>, site: string | undefined): void {
    const task = this.#task;
    try {
      task.observer = new TaskObserver(this);
      startChild(task, (own) => this.#run(own as ScopeNode, worker, site), undefined, site);
    } catch (error) {
      this.reject(error);
    }
  }

  #run(task: ScopeNode, worker: Worker<T>, site: string | undefined): void {
    const node = makeChild("do", task, worker, initialScope);
    this.#node = node;
    node.observer = this;
    startChild(node, worker, undefined, site, "singleFlight");
  }

  /** A caller has left. */
  left(): void {
    if (this.#settled || !this.#callers.empty) return;
    this.#free();
    cancel(this.#task, "closed");
  }

  /** From now on a call for the key starts anew. */
  #free(): void {
    if (this.#flights.get(this.#key) === this) this.#flights.delete(this.#key);
  }

  resolve(value: unknown): void {
    this.#settle((caller) => caller.succeed(value as T));
  }

  reject(error: unknown): void {
    if (this.#callers.empty) this.#failTask();
    this.#settle((caller) => caller.fail(error));
  }

  /** A failure that no caller receives is one of the task, and so of the owner. */
  #failTask(): void {
    if (this.#settled) return;
    for (const each of this.#node?.extras?.errors?.keys() ?? []) fail(this.#task, each);
  }

  #settle(deliver: (caller: Caller<T>) => void): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#free();
    this.#callers.drain(deliver);
  }
}

/** Receives the outcome of the task, which matters only if the worker was never called. */
class TaskObserver implements Observer {
  readonly #flight: Observer;

  constructor(flight: Observer) {
    this.#flight = flight;
  }

  resolve(): void {}

  reject(error: unknown): void {
    this.#flight.reject(error);
  }

  isReceiver(): boolean {
    return false;
  }

  get isAwaited(): boolean {
    return false;
  }
}

/** A pending call of `do`. */
class Caller<T> extends QueuedWait<T> {
  readonly #flight: { left(): void };

  constructor(node: ScopeNode, flight: { left(): void }) {
    super(node);
    this.#flight = flight;
  }

  get operation(): string {
    return "do";
  }

  protected override withdraw(): void {
    super.withdraw();
    this.#flight.left();
  }
}
