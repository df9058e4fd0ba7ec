import { Queue } from "bullmq";
import type { ChainableCommander, Redis } from "ioredis";
import { Batcher } from "../remote/batcher.js";
import { groupByQueue } from "../remote/group-by-queue.js";
import type {
  Beat,
  BeatAnswer,
  CancelRequest,
  ConsumeOptions,
  Consumer,
  Delivery,
  EngineConnection,
  EngineRef,
  Envelope,
  Held,
  Hint,
  JobState,
  Outcome,
  Settlement,
  Topic,
} from "../remote/engine.js";
import { after, withTimeLimit } from "../remote/time.js";
import { readHints, readReason } from "../remote/wire.js";
import { BullmqConsumer } from "./consumer.js";
import { fromJson, jobId, LEASE_SCRIPT, STATE_FIELDS, toState, type Keys } from "./redis-data.js";

/** A larger result is not sent with its hint. The owner fetches it. */
const MAX_HINT_BYTES = 64_000;
/** BullMQ computes the age of a result with the clocks of its workers. They may differ by this much, in ms. */
const CLOCK_MARGIN = 120_000;
/** A connection that does not answer a ping within this many ms is replaced. */
const PING_INTERVAL = 3_000;

/** A hint as JSON. */
interface Message {
  readonly channel: string;
  readonly text: string;
}

interface Settings {
  readonly client: Redis;
  /** The connection that receives hints. */
  readonly subscriber: Redis;
  readonly keys: Keys;
  readonly onError: (error: unknown) => void;
}

/** The connection of a process to BullMQ. */
export class BullmqConnection implements EngineConnection {
  readonly #settings: Settings;
  readonly #queues = new Map<string, Queue<Envelope>>();
  readonly #consumers = new Map<string, BullmqConsumer>();
  readonly #listeners = new Map<string, (hint?: Hint) => void>();
  readonly #hints: Batcher<Message, undefined>;
  #stopPings: (() => void) | undefined;
  #isClosed = false;

  constructor(settings: Settings) {
    this.#settings = settings;
    const { subscriber } = settings;
    this.#hints = new Batcher((messages) => this.#publish(messages));
    subscriber.on("message", (channel: string, text: string) => {
      try {
        for (const hint of readHints(text)) this.#listeners.get(channel)?.(hint);
      } catch (error) {
        settings.onError(error); // not of bough
      }
    });
    subscriber.on("ready", () => void this.#subscribeAgain());
    this.#ping();
  }

  async submit(jobs: readonly Envelope[]): Promise<readonly { readonly owner?: string | undefined }[]> {
    await Promise.all(
      [...groupByQueue(jobs)].map(([queue, envelopes]) =>
        this.#queue(queue).addBulk(envelopes.map(toBulkJob)),
      ),
    );
    const chosen = jobs.filter((job) => job.chosen === true);
    if (chosen.length === 0) return jobs.map(({ owner }) => ({ owner }));
    const pipeline = this.#settings.client.pipeline();
    for (const job of chosen) pipeline.hget(this.#settings.keys.job(job), "data");
    const stored = (await results(pipeline)) as (string | null)[];
    const owners = new Map(
      chosen.map((job, index) => [job, (fromJson(stored[index]) as Envelope | null | undefined)?.owner]),
    );
    return jobs.map((job) => ({ owner: owners.has(job) ? owners.get(job) : job.owner }));
  }

  /** One pipeline: Redis executes it in order, on one connection. */
  async cancel(jobs: readonly CancelRequest[]): Promise<readonly JobState[]> {
    const { client, keys, onError } = this.#settings;
    const pipeline = client.pipeline();
    for (const job of jobs) {
      const note = JSON.stringify(job.reason);
      pipeline.set(keys.note(job), note, "PX", Math.ceil(job.keep), "NX");
      pipeline.publish(
        keys.channel({ queue: job.queue }),
        JSON.stringify([{ queue: job.queue, id: job.id, reason: job.reason }] satisfies Hint[]),
      );
    }
    for (const job of jobs) this.#askIn(pipeline, job);
    const answers = (await results(pipeline)).slice(2 * jobs.length);
    const states = jobs.map((_, index) => toStateAt(answers, 3 * index));
    jobs.forEach(({ queue, id }, index) => {
      const state = states[index] as JobState;
      // This only cleans up. It fails if a worker has fetched the job, which then reads the note.
      if ("at" in state && state.at === "idle")
        this.#queue(queue).remove(jobId({ queue, id })).catch(onError);
    });
    return states;
  }

  async heartbeat({ owner, ask = [], hold }: Beat): Promise<BeatAnswer> {
    const { client, keys } = this.#settings;
    const deliveries = hold?.deliveries ?? [];
    const lost = hold?.renew === true ? await this.#extendLocks(deliveries, hold.lease) : new Set<Delivery>();
    const pipeline = client.pipeline();
    pipeline.time();
    if (owner !== undefined)
      pipeline.eval(
        LEASE_SCRIPT,
        1,
        keys.lease(owner.id),
        Math.floor(owner.until),
        owner.fresh === true ? "1" : "0",
      );
    for (const ref of ask) this.#askIn(pipeline, ref);
    const owners = [...new Set(deliveries.map(({ envelope }) => envelope.owner ?? ""))];
    if (deliveries.length > 0)
      pipeline.mget(
        owners
          .map((id) => keys.lease(id))
          .concat(deliveries.flatMap(({ envelope }) => [keys.lock(envelope), keys.note(envelope)])),
      );
    const answers = await results(pipeline);
    const [seconds, micros] = answers[0] as [string, string];
    const now = Number(seconds) * 1_000 + Number(micros) / 1_000;
    const first = owner === undefined ? 1 : 2;
    const states = ask.map((_, index) => toStateAt(answers, first + 3 * index));
    const values = (answers.at(-1) ?? []) as (string | null)[];
    const ends = new Map(owners.map((id, index) => [id, Number(values[index] ?? 0)]));
    const held = deliveries.map((delivery, index): Held => {
      const lock = values[owners.length + 2 * index];
      const note = values[owners.length + 2 * index + 1];
      const { queue, owner: id } = delivery.envelope;
      const token = this.#consumers.get(queue)?.tokenOf(delivery);
      return {
        lost: lost.has(delivery) || token === undefined || lock !== token,
        cancelled: note == null ? undefined : readReason(fromJson(note)),
        ...(id === undefined ? {} : { ownerLeft: (ends.get(id) as number) - now }),
      };
    });
    return { now, owned: owner === undefined ? undefined : answers[1] === 1, states, held };
  }

  async hint(topic: Topic, hints: readonly Hint[]): Promise<void> {
    const channel = this.#settings.keys.channel(topic);
    await Promise.all(hints.map((hint) => this.#hints.add({ channel, text: JSON.stringify(hint) })));
  }

  async watch(topic: Topic, listener: (hint?: Hint) => void): Promise<void> {
    const channel = this.#settings.keys.channel(topic);
    this.#listeners.set(channel, listener);
    await this.#settings.subscriber.subscribe(channel);
  }

  async #subscribeAgain(): Promise<void> {
    if (this.#listeners.size === 0) return;
    try {
      await this.#settings.subscriber.subscribe(...this.#listeners.keys());
    } catch (error) {
      if (!this.#isClosed) this.#settings.onError(error);
      return; // the next connection tries again
    }
    for (const listener of this.#listeners.values()) listener(); // the messages until now are lost
  }

  async consume(
    queue: string,
    options: ConsumeOptions,
    run: (delivery: Delivery) => Promise<Settlement>,
  ): Promise<Consumer> {
    const { client, keys } = this.#settings;
    const ended = (envelope: Envelope, outcome: Outcome): void => this.#ended(envelope, outcome);
    const consumer = new BullmqConsumer(queue, options, run, { client, prefix: keys.prefix, ended });
    this.#consumers.set(queue, consumer);
    await consumer.ready();
    return consumer;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopPings?.();
    await Promise.all([...this.#consumers.values()].map((consumer) => consumer.stop()));
    await Promise.all(
      [...this.#queues.values()].map((queue) =>
        withTimeLimit(queue.close(), 1_000).catch(this.#settings.onError),
      ),
    );
  }

  #ended(envelope: Envelope, outcome: Outcome): void {
    const { queue, id, replyTo } = envelope;
    if (replyTo === undefined) return;
    const { keys, onError } = this.#settings;
    const whole = JSON.stringify({ queue, id, outcome } satisfies Hint);
    const text = whole.length > MAX_HINT_BYTES ? JSON.stringify({ queue, id } satisfies Hint) : whole;
    this.#hints.add({ channel: keys.channel({ owner: replyTo }), text }).catch(onError);
  }

  /** Publishes the concurrent hints for one process as one message, if they are small. */
  async #publish(messages: readonly Message[]): Promise<undefined[]> {
    const pipeline = this.#settings.client.pipeline();
    const texts = new Map<string, string>();
    const send = (channel: string, text: string): void => void pipeline.publish(channel, `[${text}]`);
    for (const { channel, text } of messages) {
      const before = texts.get(channel);
      const isFull = before !== undefined && before.length + text.length > MAX_HINT_BYTES;
      if (isFull) send(channel, before);
      texts.set(channel, before === undefined || isFull ? text : `${before},${text}`);
    }
    for (const [channel, text] of texts) send(channel, text);
    await results(pipeline);
    return messages.map(() => undefined);
  }

  async #extendLocks(deliveries: readonly Delivery[], lease: number): Promise<Set<Delivery>> {
    const lost = new Set<Delivery>();
    const held: { queue: string; delivery: Delivery; token: string }[] = [];
    for (const delivery of deliveries) {
      const { queue } = delivery.envelope;
      const token = this.#consumers.get(queue)?.tokenOf(delivery);
      if (token === undefined) lost.add(delivery);
      else held.push({ queue, delivery, token });
    }
    await Promise.all(
      [...groupByQueue(held)].map(async ([queue, locks]) => {
        const ids = locks.map(({ delivery }) => jobId(delivery.envelope));
        const tokens = locks.map(({ token }) => token);
        const failed = (await this.#consumers.get(queue)?.extendLocks(ids, tokens, lease)) ?? ids;
        for (const [index, { delivery }] of locks.entries())
          if (failed.includes(ids[index] as string)) lost.add(delivery);
      }),
    );
    return lost;
  }

  #askIn(pipeline: ChainableCommander, ref: EngineRef): void {
    const { keys } = this.#settings;
    pipeline.hmget(keys.job(ref), ...STATE_FIELDS);
    pipeline.exists(keys.lock(ref));
    pipeline.get(keys.note(ref));
  }

  #queue(name: string): Queue<Envelope> {
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      const { client, keys, onError } = this.#settings;
      queue = new Queue<Envelope>(name, { connection: client, prefix: keys.prefix });
      queue.on("error", onError);
      this.#queues.set(name, queue);
    }
    return queue;
  }

  /** Detects a half-open connection, which would stay silent for many minutes. */
  #ping(): void {
    const { client, subscriber, onError } = this.#settings;
    this.#stopPings = after(PING_INTERVAL, () => {
      if (this.#isClosed) return;
      for (const each of [client, subscriber]) {
        if (each.status !== "ready") continue;
        withTimeLimit(each.ping(), PING_INTERVAL).catch((error: unknown) => {
          onError(error);
          if (each.status === "ready" && !this.#isClosed) each.disconnect(true);
        });
      }
      this.#ping();
    });
  }
}

function toBulkJob(envelope: Envelope): Parameters<Queue<Envelope>["addBulk"]>[0][number] {
  const { attempts, backoff, delay, priority, keep } = envelope;
  const age = Math.ceil((keep + CLOCK_MARGIN) / 1_000);
  return {
    name: envelope.name,
    data: envelope,
    opts: {
      jobId: jobId(envelope),
      attempts,
      // Never `true`: the result would be removed before its owner asks.
      removeOnComplete: { age },
      removeOnFail: { age },
      ...(backoff === undefined ? {} : { backoff }),
      ...(delay === undefined ? {} : { delay }),
      ...(priority === undefined || priority === 0 ? {} : { lifo: true }),
    },
  };
}

function toStateAt(answers: readonly unknown[], index: number): JobState {
  const [fields, isLocked, note] = answers.slice(index, index + 3) as [
    (string | null)[],
    number,
    string | null,
  ];
  return toState(fields, isLocked === 1, note);
}

/** The answers of a pipeline; the first error rejects. */
async function results(pipeline: ChainableCommander): Promise<unknown[]> {
  const answers = (await pipeline.exec()) ?? [];
  return answers.map(([error, value]) => {
    if (error !== null) throw error;
    return value;
  });
}
