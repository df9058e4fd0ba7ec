import assert from "node:assert/strict";
import { sleep } from "../../flow/time/sleep.js";
import type { Scope } from "../../kernel/scope.js";
import { createScope } from "../../task/create-scope.js";
import type { ScopeHandle } from "../../task/handle.js";
import type { Engine, EngineRef } from "../engine.js";
import { defineJob, implement, type Job, type JobInfo } from "../job.js";
import { connectRemote, type Remote } from "../remote.js";
import type { RemoteOptions, ServeOptions } from "../remote-options.js";
import { serve, type Service } from "../serve.js";
import { monotonicNow } from "../time.js";

/** How long to wait for an event of a case, in ms. Only a hang takes so long. */
const MAX_WAIT = 120_000;
/** How long to repeat a call that does not get through, in ms. */
const MAX_REPEAT = 60_000;

/** The engine that {@link engineSuite} tests, and the faults that can be injected into it. */
export interface EngineSubject {
  /** The engine as the process of that name sees it. */
  readonly engine: (process: string) => Engine | Promise<Engine>;
  /** The lease of owners in the cases, in ms. Default 1,000. */
  readonly lease?: number | undefined;
  /** The lease of workers in the cases, in ms. Default 1,000. */
  readonly workerLease?: number | undefined;
  /** How many owners the case of many owners has. Default 40. */
  readonly owners?: number | undefined;
  /** How many jobs the case that cancels many has. Default 300. */
  readonly jobs?: number | undefined;
  /** How much later than it should be a loss may be noticed, in ms: of a worker, or of a job. Default 3,000. */
  readonly lostWithin?: number | undefined;
  /** Cuts a process off: its calls fail or hang, and no hint arrives. Returns what connects it again. */
  readonly cut?: ((process: string) => Undo | Promise<Undo>) | undefined;
  /** Stops the server; its data stay. Returns what starts it again. */
  readonly stop?: (() => Undo | Promise<Undo>) | undefined;
  /** The calls of a process have their effect, and their answers get lost. Returns what repairs that. */
  readonly loseAnswers?: ((process: string) => Undo | Promise<Undo>) | undefined;
  /** The server answers nothing, and its connections stay open. Returns what lets it go on. */
  readonly pause?: (() => Undo | Promise<Undo>) | undefined;
  /** The server can be read, and refuses to write: it is full, or a replica. Returns what repairs it. */
  readonly refuseWrites?: (() => Undo | Promise<Undo>) | undefined;
  /** Loses all hints for a process. */
  readonly dropHints?: ((process: string) => Undo | Promise<Undo>) | undefined;
  /** Removes all data from the engine. */
  readonly wipe?: (() => void | Promise<void>) | undefined;
}

/** Repairs a fault. */
export type Undo = () => void | Promise<void>;

/** The work of the job of the cases. */
export interface Script {
  readonly tag: string;
  /** How long it works, in ms. Default: it returns at once. */
  readonly ms?: number;
  /** How long it cleans up after a cancellation, in ms. */
  readonly cleanup?: number;
  /** Returns this after a cancellation instead of rejecting. */
  readonly late?: string;
  readonly throws?: string;
  /** Fails that many times first. */
  readonly failures?: number;
  /** Fails in its cleanup after a cancellation. */
  readonly badCleanup?: boolean;
  /** The length of the result. */
  readonly size?: number;
  /** The first attempt ignores its cancellation, as code that blocks the event loop does, until `endIgnoringAttempt()`. */
  readonly ignoresCancellation?: boolean;
}

export interface Event {
  readonly tag: string;
  readonly what: "start" | "signal" | "end";
  readonly at: number;
  readonly worker: string;
  readonly attempt: number;
  readonly kind?: string | undefined;
  readonly path?: string | undefined;
  readonly cause?: unknown;
}

/** A case of the suite. */
export interface CaseDraft {
  readonly name: string;
  /** The faults that it needs. */
  readonly needs?: readonly (
    "cut" | "loseAnswers" | "stop" | "pause" | "refuseWrites" | "dropHints" | "wipe"
  )[];
  readonly run: (harness: Harness) => Promise<void>;
}

let count = 0;
const run = Math.random().toString(36).slice(2, 8);

/** The processes of one case: owners and workers, each in a root scope, and what happened in the workers. */
export class Harness {
  readonly subject: EngineSubject;
  readonly events: Event[] = [];
  readonly job: Job<Script, string>;
  readonly lease: number;
  readonly workerLease: number;
  /** Lets the attempt that ignores its cancellation end. */
  endIgnoringAttempt: () => void = () => {};
  readonly ignoringEnds: Promise<void> = new Promise((resolve) => (this.endIgnoringAttempt = resolve));
  readonly #scopes: ScopeHandle[] = [];
  readonly #undo: Undo[] = [];

  constructor(subject: EngineSubject) {
    this.subject = subject;
    this.lease = subject.lease ?? 1_000;
    this.workerLease = subject.workerLease ?? 1_000;
    this.job = defineJob<Script, string>(`case-${run}-${(count += 1)}`);
  }

  /** An owner process. */
  async owner(
    process = "owner",
    options: RemoteOptions = {},
  ): Promise<{ scope: ScopeHandle; remote: Remote }> {
    const scope = createScope({ name: process, supervise: true, onError: () => {} });
    this.#scopes.push(scope);
    const remote = await connectRemote(scope, await this.subject.engine(process), {
      lease: this.lease,
      ...options,
    });
    return { scope, remote };
  }

  /** A worker process that runs the job of the case. */
  async worker(
    process = "worker",
    options: ServeOptions = {},
  ): Promise<{ scope: ScopeHandle; service: Service }> {
    const scope = createScope({ name: process, supervise: true, onError: () => {} });
    this.#scopes.unshift(scope); // owners are closed first
    const work = implement(this.job, (own, data, info) => this.#work(own, data, info, process));
    const service = await serve(scope, await this.subject.engine(process), [work], {
      lease: this.workerLease,
      concurrency: 20,
      worker: process,
      ...options,
    });
    return { scope, service };
  }

  /** Injects a fault, which is repaired at the end of the case. */
  async injectFault(make: (() => Undo | Promise<Undo>) | undefined): Promise<Undo> {
    assert(make !== undefined, "the case needs a fault that the subject does not have");
    const undo = await make();
    let isDone = false;
    const once = async (): Promise<void> => {
      if (isDone) return;
      isDone = true;
      await undo();
    };
    this.#undo.push(once);
    return once;
  }

  eventsOf(tag: string, what?: Event["what"]): Event[] {
    return this.events.filter((event) => event.tag === tag && (what === undefined || event.what === what));
  }

  /** Waits for something that happened in a worker. */
  async waitFor(tag: string, what: Event["what"], count = 1): Promise<Event> {
    const until = monotonicNow() + MAX_WAIT;
    while (this.eventsOf(tag, what).length < count) {
      assert(
        monotonicNow() < until,
        `${count} × ${what} of ${tag} did not come: ${JSON.stringify(this.eventsOf(tag))}`,
      );
      await this.pause(2);
    }
    return this.eventsOf(tag, what)[count - 1] as Event;
  }

  /** Repeats a call of the port that does not get through, as `bough/remote` does. */
  async repeated<T>(call: () => Promise<T>): Promise<T> {
    const until = monotonicNow() + MAX_REPEAT;
    for (;;)
      try {
        return await call();
      } catch (error) {
        if (monotonicNow() > until) throw error;
        await this.pause(20);
      }
  }

  /** Waits until the engine has a job of the case. */
  async waitUntilStored(scope: Scope, id: string): Promise<void> {
    const connection = await (await this.subject.engine("port")).open(scope);
    const ref: EngineRef = { queue: this.job.queue, id };
    const until = monotonicNow() + MAX_WAIT;
    for (;;) {
      const [state] = (await this.repeated(() => connection.heartbeat({ ask: [ref] }))).states;
      if (state !== undefined && !("at" in state && state.at === "missing")) return;
      assert(monotonicNow() < until, `${id} was not stored`);
      await this.pause(2);
    }
  }

  async pause(ms: number): Promise<void> {
    const scope = createScope({ name: "pause" });
    await sleep(scope, ms);
    await scope.close();
  }

  async end(): Promise<void> {
    for (const undo of this.#undo) await undo();
    for (const scope of this.#scopes.toReversed()) await scope.close().catch(() => {});
  }

  async #work(own: Scope, script: Script, info: JobInfo, worker: string): Promise<string> {
    const { tag } = script;
    const { attempt } = info;
    const log = (what: Event["what"], more: Partial<Event> = {}): void => {
      this.events.push({ tag, what, at: monotonicNow(), worker, attempt, ...more });
    };
    log("start", { path: info.path });
    own.onCancel((reason) => log("signal", { kind: reason.kind, path: reason.scope, cause: reason.cause }));
    try {
      if (attempt <= (script.failures ?? 0)) throw new RangeError(`failed ${attempt}`);
      if (script.throws !== undefined)
        throw Object.assign(new RangeError(script.throws), { code: "E_SCRIPT" });
      if (script.ignoresCancellation === true && attempt === 1) await this.ignoringEnds;
      else if (script.ms !== undefined) await sleep(own, script.ms);
      return script.size === undefined ? `${tag}:${attempt}` : "x".repeat(script.size);
    } catch (error) {
      if (own.cancelled && script.cleanup !== undefined) await this.pause(script.cleanup);
      if (own.cancelled && script.late !== undefined) return script.late;
      if (own.cancelled && script.badCleanup === true) throw new Error("the cleanup has failed");
      throw error;
    } finally {
      log("end");
    }
  }
}

/** The outcome of a promise, as a value. */
export function outcomeOf(
  promise: PromiseLike<unknown>,
): Promise<{ readonly value?: unknown; readonly error?: unknown }> {
  return Promise.resolve(promise).then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
}

export async function errorOf(promise: PromiseLike<unknown>): Promise<Error> {
  const { value, error } = await outcomeOf(promise);
  assert(error instanceof Error, `expected a rejection, got ${JSON.stringify(value)}`);
  return error;
}
