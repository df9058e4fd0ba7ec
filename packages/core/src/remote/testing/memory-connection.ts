import type {
  Beat,
  BeatAnswer,
  CancelRequest,
  ConsumeOptions,
  Consumer,
  Delivery,
  EngineConnection,
  Envelope,
  Hint,
  JobState,
  Settlement,
  Topic,
} from "../engine.js";
import { pause, withTimeLimit, monotonicNow } from "../time.js";
import { faultOf, roundTrip, type Faults } from "./memory-faults.js";
import type { MemoryConsumer, MemoryStore } from "./memory-store.js";

/** The connection of one process to a memory engine. */
export class MemoryConnection implements EngineConnection {
  readonly #store: MemoryStore;
  readonly #faults: Faults;
  readonly #process: string;
  readonly #closing: (() => void)[] = [];
  #isClosed = false;

  constructor(store: MemoryStore, faults: Faults, process: string) {
    this.#store = store;
    this.#faults = faults;
    this.#process = process;
  }

  submit(jobs: readonly Envelope[]): Promise<readonly { readonly owner?: string | undefined }[]> {
    return this.#call(true, () => jobs.map((job) => this.#store.submit(job)));
  }

  cancel(jobs: readonly CancelRequest[]): Promise<readonly JobState[]> {
    return this.#call(true, () => jobs.map((job) => this.#store.cancel(job)));
  }

  heartbeat({ owner, ask = [], hold }: Beat): Promise<BeatAnswer> {
    const writes = owner !== undefined || hold?.renew === true;
    return this.#call(writes, () => {
      const owned = owner === undefined ? undefined : this.#store.lease(owner);
      const states = ask.map((ref) => this.#store.state(ref));
      const held = (hold?.deliveries ?? []).map((delivery) =>
        this.#store.held(delivery, hold?.renew === true ? hold.lease : undefined),
      );
      return this.#store.answer(states, held, owned);
    });
  }

  hint(topic: Topic, hints: readonly Hint[]): Promise<void> {
    return this.#call(false, () => this.#store.publish(topic, hints));
  }

  async watch(topic: Topic, listener: (hint?: Hint) => void): Promise<void> {
    const receive = (hint: Hint): void => {
      const mode = faultOf(this.#faults.hints, this.#process) ?? "deliver";
      if (mode === "drop" || this.#cut !== undefined) return;
      void roundTrip(this.#faults.latency).then(() => {
        if (this.#isClosed) return;
        listener(hint);
        if (mode === "twice") listener(hint);
      });
    };
    await this.#call(false, () => this.#closing.push(this.#store.subscribe(topic, receive)));
    const onReconnect = (): void => listener();
    this.#faults.reconnected.add(onReconnect);
    this.#closing.push(() => this.#faults.reconnected.delete(onReconnect));
  }

  async consume(
    queue: string,
    options: ConsumeOptions,
    run: (delivery: Delivery) => Promise<Settlement>,
  ): Promise<Consumer> {
    const { worker, lease } = options;
    const runs = new Set<Promise<void>>();
    let { concurrency } = options;
    const consumer: MemoryConsumer = {
      queue,
      worker,
      lease,
      hasRoom: () => runs.size < concurrency && this.#cut === undefined,
      take: (delivery) => {
        const running = this.#run(delivery, lease, run).then(() => {
          runs.delete(running);
          this.#store.offer(queue);
        });
        runs.add(running);
      },
    };
    const onReconnect = (): void => this.#store.offer(queue);
    this.#faults.reconnected.add(onReconnect);
    await this.#call(false, () => this.#store.addConsumer(consumer));
    const stop = async (): Promise<void> => {
      this.#faults.reconnected.delete(onReconnect);
      this.#store.removeConsumer(consumer);
      while (runs.size > 0) await Promise.all(runs);
    };
    this.#closing.push(() => this.#store.removeConsumer(consumer));
    return {
      setConcurrency: (count) => {
        concurrency = count;
        this.#store.offer(queue);
      },
      stop,
    };
  }

  close(): void {
    this.#isClosed = true;
    for (const close of this.#closing) close();
  }

  /** Runs a job and stores its outcome. A worker that is cut off can't store it: its lock will run out. */
  async #run(
    delivery: Delivery,
    lease: number,
    run: (delivery: Delivery) => Promise<Settlement>,
  ): Promise<void> {
    await roundTrip(this.#faults.latency);
    const settlement = await run(delivery);
    if (this.#cut === "reject" || this.#cut === "hang") return;
    const until = monotonicNow() + lease;
    for (let isStored = false; !isStored && monotonicNow() < until;) {
      const call = this.#call(true, () => this.#store.settle(delivery, settlement)).then(() => true);
      isStored = await withTimeLimit(call, lease).catch(() => false);
      if (!isStored) await pause(20);
    }
  }

  get #cut(): string | undefined {
    return faultOf(this.#faults.cuts, this.#process);
  }

  /** A call to the server: it may not get there, and its answer may not come back. */
  async #call<T>(writes: boolean, call: () => T): Promise<T> {
    await roundTrip(this.#faults.latency / 2);
    await this.#connected();
    if (writes && this.#faults.isReadOnly) throw new Error("the engine is read-only");
    const result = call();
    await roundTrip(this.#faults.latency / 2);
    await this.#connected(true);
    return result;
  }

  async #connected(isAnswer = false): Promise<void> {
    for (let cut = this.#cut; cut !== undefined; cut = this.#cut) {
      if (cut === "reject") throw new Error("the connection to the engine is lost");
      if (cut === "no answer" && !isAnswer) return;
      if (cut === "hang" || cut === "no answer") return new Promise(() => {});
      await new Promise<void>((resolve) => {
        const listener = (): void => {
          this.#faults.reconnected.delete(listener);
          resolve();
        };
        this.#faults.reconnected.add(listener);
      });
    }
  }
}
