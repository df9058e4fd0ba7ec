import { getEventListeners } from "node:events";
import { vi } from "vitest";
import {
  background,
  createScope,
  ScopeClosedError,
  spawn,
  withScope,
  type Scope,
  type ScopeHandle,
  type ScopeOptions,
  type Task,
  type TaskOptions,
} from "../../src/index.js";
import { backgroundNode } from "../../src/kernel/scope-view.js";
import {
  errorNamed,
  SIGNALS,
  START,
  TICK,
  type Action,
  type CleanupSpec,
  type Ending,
  type Event,
  type Look,
  type NodeSpec,
  type Settlement,
  type Tree,
  type WaitKind,
  type WorkSpec,
} from "./vocabulary.js";

interface Entry {
  view?: Scope;
  handle?: ScopeHandle;
  task?: Task<unknown>;
  signal?: AbortSignal;
  end?: (ending: Ending) => void;
}

/** bough itself, behind the vocabulary of the model check. */
export class RealTree implements Tree {
  readonly settlements: Map<string, Settlement> = new Map<string, Settlement>();
  readonly events: Event[] = [];
  readonly reports: { receiver: string; error: unknown }[] = [];
  readonly #entries = new Map<string, Entry>([["background", { view: background }]]);
  readonly #stops = new Map<string, { of: string; stop: () => boolean }>();
  readonly #gates = new Map<string, () => void>();
  readonly #signals: AbortController[] = Array.from({ length: SIGNALS }, () => new AbortController());

  constructor() {
    vi.setSystemTime(START);
  }

  createScope(make: string, at: string, spec: NodeSpec): void {
    try {
      const handle = createScope(this.#view(at), this.#options(make, spec));
      this.#entries.set(make, { view: handle, handle });
    } catch (error) {
      this.#refused(error, make, at);
    }
  }

  withScope(make: string, at: string, spec: NodeSpec, work: WorkSpec): void {
    const entry: Entry = {};
    this.#entries.set(make, entry);
    const body = this.#worker(make, work, entry);
    this.#observe(make, withScope(this.#view(at), this.#options(make, spec), body));
  }

  spawn(make: string, at: string, spec: NodeSpec, work: WorkSpec): void {
    const entry: Entry = {};
    const options: TaskOptions = this.#options(make, spec);
    try {
      const task = spawn(this.#view(at), this.#worker(make, work, entry), options);
      entry.task = task;
      this.#entries.set(make, entry);
      if (spec.awaited === true) this.#observe(make, task);
    } catch (error) {
      this.#refused(error, make, at);
    }
  }

  finish(at: readonly string[], ending: Ending): void {
    for (const name of at) this.#entries.get(name)?.end?.(ending);
  }

  cancel(at: string): void {
    const { task, view } = this.#entries.get(at) as Entry;
    const did = (view ?? task)?.cancel(errorNamed(`cause of ${at}`));
    this.#saw("result", at, did);
  }

  wait(make: string, at: string, kind: WaitKind): void {
    const handle = this.#entries.get(at)?.handle as ScopeHandle;
    const promise =
      kind === "join" ? handle.join() : kind === "close" ? handle.close() : handle[Symbol.asyncDispose]();
    this.#observe(make, promise);
  }

  defer(make: string, at: string, { held, action }: CleanupSpec): void {
    const cleanup = (): unknown => {
      this.#saw("cleanup", at, make);
      if (!held) return this.#act(action);
      return new Promise<void>((open) => this.#gates.set(make, open)).then(() => this.#act(action));
    };
    try {
      this.#view(at).defer(cleanup);
      this.#saw("result", at, true);
    } catch (error) {
      if (!(error instanceof ScopeClosedError)) throw error;
      this.#saw("result", at, false);
    }
  }

  release(cleanup: string): void {
    this.#gates.get(cleanup)?.();
    this.#gates.delete(cleanup);
  }

  onCancel(make: string, at: string, action: Action): void {
    const stop = this.#view(at).onCancel(() => {
      this.#saw("listener", at, make);
      this.#act(action);
    });
    this.#stops.set(make, { of: at, stop });
  }

  onAbort(make: string, at: string, action: Action): void {
    this.#view(at).signal.addEventListener("abort", () => {
      this.#saw("listener", at, make);
      this.#act(action);
    });
  }

  stop(hook: string): void {
    const { of, stop } = this.#stops.get(hook) as { of: string; stop: () => boolean };
    this.#saw("result", of, stop());
  }

  signal(at: string): void {
    const entry = this.#entries.get(at) as Entry;
    const signal = this.#view(at).signal;
    if ((entry.signal ??= signal) !== signal) throw new Error("a scope has one signal");
  }

  abort(signal: number): void {
    this.#signals[signal]?.abort(errorNamed(`signal ${signal}`));
  }

  tick(): void {
    vi.advanceTimersByTime(TICK);
  }

  look(name: string): Look {
    const { view, task, signal } = this.#entries.get(name) as Entry;
    if (signal?.aborted === true && signal.reason !== view?.reason) throw new Error("its reason is another");
    return {
      state: view?.state,
      status: task?.status,
      reason: view?.reason,
      errors: view?.errors,
      deadline: view?.deadline,
      aborted: signal?.aborted,
    };
  }

  /** Cancels and ends whatever there is. */
  async endAll(settled: () => Promise<void>): Promise<void> {
    for (let round = 0; round < 100; round++) {
      for (const { handle, task, view, end } of this.#entries.values()) {
        handle?.close().catch(() => undefined);
        if (view !== background) (task ?? view)?.cancel();
        end?.("value");
      }
      for (const open of this.#gates.values()) open();
      await settled();
      if (backgroundNode.first === undefined) return;
    }
  }

  /** Everything that a finished run has left behind: must be nothing. */
  leftovers(): string[] {
    const left: string[] = [];
    const { first, hooks, extras } = backgroundNode;
    if (first !== undefined) left.push(`the background has ${first.path}`);
    if ((extras?.nonDaemons ?? 0) !== 0) left.push(`the background counts ${extras?.nonDaemons} children`);
    if (hooks !== undefined) left.push("the background has hooks");
    if (vi.getTimerCount() !== 0) left.push(`${vi.getTimerCount()} timers`);
    for (const { signal } of this.#signals)
      if (getEventListeners(signal, "abort").length > 0) left.push("a listener on a foreign signal");
    return left;
  }

  #view(name: string): Scope {
    return this.#entries.get(name)?.view as Scope;
  }

  #options(
    name: string,
    { daemon, supervise, concurrency, timeout, onError, signal }: NodeSpec,
  ): ScopeOptions & TaskOptions {
    return {
      name,
      daemon,
      supervise,
      concurrency,
      timeout,
      signal: signal === undefined ? undefined : this.#signals[signal]?.signal,
      onError: onError === true ? (error) => this.reports.push({ receiver: name, error }) : undefined,
    };
  }

  #worker(name: string, { mode, reaction, hears }: WorkSpec, entry: Entry): (scope: Scope) => unknown {
    let late = false;
    queueMicrotask(() => (late = true));
    return (view) => {
      entry.view = view;
      this.#entries.set(name, entry);
      this.#saw("start", name, name);
      let end!: (ending: Ending) => void;
      const promise = new Promise<unknown>((resolve, reject) => {
        end = (ending) => {
          if (ending === "value") return resolve(`value of ${name}`);
          if (ending === "abort") return reject(errorNamed(name, "abort"));
          if (ending === "error" || !view.cancelled) return reject(errorNamed(name));
          reject(ending === "reason" ? view.reason : new Error("wrapped", { cause: view.reason }));
        };
      });
      if (reaction !== "ignore") {
        if (hears === "signal") view.signal.addEventListener("abort", () => end(reaction));
        else view.onCancel(() => end(reaction));
      }
      entry.end = end;
      promise.catch(() => undefined); // a worker that throws does not return it
      if (mode === "value") return `value of ${name}`;
      if (mode === "throw" && !late) throw errorNamed(name);
      if (mode !== "held") end("error");
      return promise;
    };
  }

  #act(action: Action): void {
    if (action.do === "throw") throw errorNamed(action.error);
    if (action.do === "nothing") return;
    if (action.do === "stop") {
      if (this.#stops.has(action.hook)) this.stop(action.hook);
      return;
    }
    const { view, handle } = this.#entries.get(action.at) ?? {};
    if (view === undefined) return;
    if (action.do === "cancel") this.cancel(action.at);
    else if (action.do === "signal") this.signal(action.at);
    else if (action.do === "spawn") this.spawn(action.make, action.at, {}, action.work);
    else if (action.do === "defer")
      this.defer(action.make, action.at, { held: false, action: { do: "nothing" } });
    else if (handle !== undefined) this.wait(action.make, action.at, "close");
  }

  #observe(name: string, promise: PromiseLike<unknown>): void {
    this.settlements.set(name, { status: "pending" });
    promise.then(
      (value) => this.settlements.set(name, { status: "resolved", value }),
      (error: unknown) => {
        const value = error instanceof ScopeClosedError ? "closed" : error;
        this.settlements.set(name, { status: "rejected", value });
      },
    );
  }

  #refused(error: unknown, make: string, at: string): void {
    if (!(error instanceof ScopeClosedError)) throw error;
    this.#entries.delete(make);
    this.#saw("result", at, `${make} refused`);
  }

  #saw(kind: Event["kind"], of: string, what: unknown): void {
    this.events.push({ kind, of, what });
  }
}
