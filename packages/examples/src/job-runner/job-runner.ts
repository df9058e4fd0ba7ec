import { createChannel, supervise, type Channel, type Scope, type SuperviseOptions } from "bough";

/** A job. Only the handler interprets it. */
export interface Job {
  readonly id: number;
}

export interface JobRunnerOptions<J extends Job> extends SuperviseOptions {
  /** Does one job. A throw is a crash of the worker: it is restarted, and begins with this job again. */
  readonly handle: (scope: Scope, job: J) => Promise<void>;
  /** How often a job is begun before it is given up. Default 3. */
  readonly attempts?: number;
  readonly onGivenUp?: (job: J, error: unknown) => void;
}

/**
 * Does jobs one after the other, in a worker that may crash: it is restarted with back-off, and no job is lost. One that
 * crashes it again and again is given up. The worker lives in `scope`; when it crashes too often, `scope` has failed.
 */
export class JobRunner<J extends Job> {
  readonly #jobs: Channel<J> = createChannel(Infinity);
  readonly #options: JobRunnerOptions<J>;
  /** The job that the worker was processing when it crashed, and how often it was started. */
  #current: { readonly job: J; readonly attempt: number } | undefined;
  #done = 0;

  constructor(scope: Scope, options: JobRunnerOptions<J>) {
    this.#options = options;
    const { handle: _handle, attempts: _attempts, onGivenUp: _onGivenUp, ...restarts } = options;
    supervise(scope, (own) => this.#work(own), restarts);
  }

  /** How many jobs were done. */
  get done(): number {
    return this.#done;
  }

  async submit(scope: Scope, job: J): Promise<void> {
    await this.#jobs.send(scope, job);
  }

  /** No more jobs: the worker ends when it has done the rest. */
  end(): void {
    this.#jobs.close();
  }

  async #work(scope: Scope): Promise<void> {
    if (this.#current !== undefined) await this.#do(scope, this.#current.job, this.#current.attempt + 1);
    for await (const job of this.#jobs.values(scope)) await this.#do(scope, job, 1);
  }

  async #do(scope: Scope, job: J, attempt: number): Promise<void> {
    this.#current = { job, attempt };
    try {
      await this.#options.handle(scope, job);
      this.#done += 1;
    } catch (error) {
      scope.throwIfCancelled();
      if (attempt < (this.#options.attempts ?? 3)) throw error;
      this.#options.onGivenUp?.(job, error);
    }
    this.#current = undefined;
  }
}
