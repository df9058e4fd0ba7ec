import { hostname } from "node:os";
import { outOfRange, wrongType } from "../errors/validate.js";
import { start } from "../flow/lifetime/start.js";
import { createSemaphore, type Semaphore } from "../flow/sync/semaphore.js";
import { withResolvers } from "../kernel/observer.js";
import type { Scope } from "../kernel/scope.js";
import { nodeOf } from "../task/node-of.js";
import { EngineClock } from "./engine-clock.js";
import type { Consumer, Delivery, Engine, EngineConnection, Settlement } from "./engine.js";
import { refusalOf, runJob, settleUnstarted, type ServiceSettings } from "./job-run.js";
import { requireJob, type AnyImplementation } from "./job.js";
import { JobHolder } from "./job-holder.js";
import { DEFAULT_LEASE, DEFAULT_MAX_SIZE, requireEngine } from "./remote.js";
import { checkServeOptions, type ServeOptions } from "./remote-options.js";
import { reporterOf } from "./reporter.js";
import { RunningJob } from "./running-job.js";

/** A process that runs jobs. Made by {@link serve}. */
export interface Service {
  /** How many jobs this process holds. */
  readonly running: number;
  /** Fetches no more jobs, and resolves when the running jobs have ended. The service has ended then. */
  drain(): Promise<void>;
}

/**
 * Runs jobs in this process, as child scopes of `scope`, until it is drained or cancelled.
 *
 * A job's scope is cancelled when its owner's task is cancelled or the owner's lease has ended. It is also cancelled when
 * this process can't be sure that it still holds the job.
 *
 * **Cancellation:** cancelling `scope` cancels the jobs that run and gives them back to the engine, for another worker. Call
 * `drain` to let them finish.
 *
 * **Failure:** rejects if the engine can't be opened. The failure of a job goes to its owner; it does not fail the
 * service.
 *
 * @param scope - The owner of the service. It does not settle before the service has ended.
 * @param engine - Of `bough/pg-boss`, `bough/bullmq`, or any other adapter.
 * @param implementations - Made by `implement`, for different jobs.
 * @param options - `concurrency`, the lease of a worker, and others.
 * @returns The service, when it fetches jobs.
 * @throws {TypeError | RangeError} If an argument is bad (as a rejection).
 * @example
 * ```ts
 * const hello = defineJob<string>("hello");
 * await withScope(async (scope) => {
 *   const service = await serve(scope, memoryEngine(), [
 *     implement(hello, (job, name) => console.log("hello", name)),
 *   ]);
 *   await service.drain();
 * });
 * ```
 */
export async function serve(
  scope: Scope,
  engine: Engine,
  implementations: readonly AnyImplementation[],
  options: ServeOptions = {},
): Promise<Service> {
  const node = nodeOf("serve", "scope", scope);
  requireEngine("serve", engine);
  checkServeOptions(options);
  return launch(node, engine, implementationsByQueue(implementations), options);
}

function implementationsByQueue(
  implementations: readonly AnyImplementation[],
): Map<string, AnyImplementation> {
  if (!Array.isArray(implementations) || implementations.length === 0)
    throw wrongType(
      "serve",
      "implementations must be an array of at least one implementation",
      implementations,
    );
  const found = new Map<string, AnyImplementation>();
  for (const implementation of implementations as readonly AnyImplementation[]) {
    requireJob("serve", (implementation as { job?: unknown } | undefined)?.job);
    const { queue } = implementation.job;
    if (found.has(queue)) throw outOfRange("serve", "implementations must be for different jobs", queue);
    found.set(queue, implementation);
  }
  return found;
}

/** A function apart from `serve`, so that its closures do not keep an owner handle alive. */
function launch(
  parent: Scope,
  engine: Engine,
  implementations: ReadonlyMap<string, AnyImplementation>,
  options: ServeOptions,
): Promise<Service> {
  const worker = options.worker ?? `${hostname()}/${process.pid}`;
  const drained = withResolvers<void>();
  return start<Service>(parent, async function serve(own, started) {
    const ended = withResolvers<void>();
    own.defer(() => ended.resolve(undefined)); // the first, so that it runs last
    const connection = await engine.open(own);
    const service = new EngineService(own, connection, worker, options);
    own.defer(() => service.close());
    await service.consume(implementations);
    started({
      get running(): number {
        return service.running;
      },
      drain: async () => {
        drained.resolve(undefined);
        await ended.promise;
      },
    });
    const cancelled = new Promise<void>((resolve) => void own.onCancel(() => resolve()));
    await Promise.race([drained.promise, cancelled]);
    await service.stop();
  });
}

class EngineService {
  readonly #scope: Scope;
  readonly #connection: EngineConnection;
  readonly #settings: ServiceSettings;
  readonly #concurrency: number;
  readonly #lease: number;
  readonly #slots: Semaphore;
  readonly #clock = new EngineClock();
  readonly #holder: JobHolder;
  readonly #onError: (error: unknown) => void;
  readonly #consumers: { readonly consumer: Consumer; running: number }[] = [];
  #running = 0;

  constructor(scope: Scope, connection: EngineConnection, worker: string, options: ServeOptions) {
    const { concurrency = 1, lease = DEFAULT_LEASE } = options;
    const onError = reporterOf(options.onError);
    this.#scope = scope;
    this.#connection = connection;
    this.#concurrency = concurrency;
    this.#lease = lease;
    this.#onError = onError;
    this.#slots = createSemaphore(concurrency);
    this.#holder = new JobHolder(connection, { lease, worker, clock: this.#clock, onError });
    this.#settings = {
      payload: { maxSize: options.maxSize ?? DEFAULT_MAX_SIZE, codec: options.codec },
      contexts: options.contexts ?? [],
      trace: options.trace,
      redact: options.redact,
      grace: options.grace,
      worker,
    };
  }

  get running(): number {
    return this.#running;
  }

  async consume(implementations: ReadonlyMap<string, AnyImplementation>): Promise<void> {
    for (const [queue, implementation] of implementations) {
      await this.#connection.watch({ queue }, (hint) => this.#holder.receiveHint(hint));
      const entry = { running: 0, consumer: undefined as unknown as Consumer };
      entry.consumer = await this.#connection.consume(
        queue,
        {
          concurrency: this.#concurrency,
          lease: this.#lease,
          worker: this.#settings.worker,
          onError: this.#onError,
        },
        (delivery) => this.#run(entry, implementation, delivery),
      );
      this.#consumers.push(entry);
    }
  }

  /** Fetches no more. Resolves when the jobs that run have been settled. */
  async stop(): Promise<void> {
    await Promise.all(this.#consumers.map(({ consumer }) => consumer.stop()));
  }

  close(): void {
    this.#holder.close();
  }

  async #run(
    entry: { running: number },
    implementation: AnyImplementation,
    delivery: Delivery,
  ): Promise<Settlement> {
    const refusal = refusalOf(delivery);
    if (refusal !== undefined) return refusal;
    const running = new RunningJob(delivery, this.#lease);
    entry.running += 1;
    this.#running += 1;
    this.#shareSlots();
    try {
      return await this.#hold(implementation, running);
    } catch (error) {
      this.#onError(error); // the service is being stopped
      return { release: true };
    } finally {
      entry.running -= 1;
      this.#running -= 1;
      this.#holder.delete(running);
      this.#shareSlots();
    }
  }

  async #hold(implementation: AnyImplementation, running: RunningJob): Promise<Settlement> {
    // With several queues a few more jobs than `concurrency` may have been fetched.
    using _slot = await this.#slots.acquire(this.#scope);
    if (!(await this.#holder.add(running))) return settleUnstarted(running);
    running.stopIfDue(); // the process may have been stopped while it waited for the answer
    if (running.stopped !== undefined) return settleUnstarted(running);
    const { deadline } = running.delivery.envelope;
    const left = deadline === undefined ? undefined : Math.max(deadline - this.#clock.now(), 0);
    return await runJob(this.#scope, implementation, running, left, this.#settings);
  }

  /** Lets each queue fetch as many jobs as there are free slots. */
  #shareSlots(): void {
    if (this.#consumers.length < 2) return;
    const free = Math.max(this.#concurrency - this.#running, 0);
    for (const { consumer, running } of this.#consumers) consumer.setConcurrency?.(running + free);
  }
}
