/**
 * The vocabulary of a model check for both trees, the real one and the reference. It is plain data, so that it can be
 * printed and shrunk.
 */

/** How a worker, or a cleanup that was held up, ends. `abort` and `cause` look like a cancellation coming back. */
export type Ending = "value" | "error" | "abort" | "cause" | "reason";

export interface WorkSpec {
  /** Ends at once (by a value, a throw or a promise), or when told to. */
  readonly mode: "held" | "value" | "throw" | "reject";
  /** Its reaction to a cancellation; `ignore`: none. */
  readonly reaction: Ending | "ignore";
  /** How it hears of that. */
  readonly hears: "callback" | "signal";
}

export interface NodeSpec {
  readonly daemon?: boolean | undefined;
  readonly supervise?: boolean | undefined;
  readonly concurrency?: number | undefined;
  readonly timeout?: number | undefined;
  /** Whether somebody awaits the task. */
  readonly awaited?: boolean | undefined;
  readonly onError?: boolean | undefined;
  /** Which foreign signal it follows. */
  readonly signal?: number | undefined;
}

/** An action of user code that the runtime calls. `at` names a node, `make` the node that it makes. */
export type Action =
  | { readonly do: "nothing" }
  | { readonly do: "throw"; readonly error: string }
  | { readonly do: "cancel"; readonly at: string }
  | { readonly do: "spawn"; readonly at: string; readonly make: string; readonly work: WorkSpec }
  | { readonly do: "defer"; readonly at: string; readonly make: string }
  | { readonly do: "close"; readonly at: string; readonly make: string }
  | { readonly do: "stop"; readonly hook: string }
  /** Reads `scope.signal`, which is made on first read, and keeps it. */
  | { readonly do: "signal"; readonly at: string };

export interface CleanupSpec {
  /** Whether it waits to be released before it acts. */
  readonly held: boolean;
  readonly action: Action;
}

export type WaitKind = "join" | "close" | "dispose";

/** Both trees. Nodes, callbacks, cleanups and waiting calls have names, given by the check. */
export interface Tree {
  createScope(make: string, at: string, spec: NodeSpec): void;
  withScope(make: string, at: string, spec: NodeSpec, work: WorkSpec): void;
  spawn(make: string, at: string, spec: NodeSpec, work: WorkSpec): void;
  /** Ends the workers named, in this order and in one tick. */
  finish(at: readonly string[], ending: Ending): void;
  cancel(at: string): void;
  wait(make: string, at: string, kind: WaitKind): void;
  defer(make: string, at: string, cleanup: CleanupSpec): void;
  /** Lets a held cleanup go on. */
  release(cleanup: string): void;
  onCancel(make: string, at: string, action: Action): void;
  onAbort(make: string, at: string, action: Action): void;
  stop(hook: string): void;
  signal(at: string): void;
  abort(signal: number): void;
  /** Lets time pass. Everything is due at a multiple of `TICK`, so one tick reaches one instant. */
  tick(): void;
}

/** In ms. */
export const TICK = 10;
/** Where the clock stands at the start, in epoch ms. */
export const START: number = Date.UTC(2030, 0);
export const SIGNALS = 2;

/** Something the user's code saw. `of` is the node, `what` names the callback. */
export interface Event {
  readonly kind: "start" | "listener" | "cleanup" | "report" | "result";
  readonly of: string;
  readonly what: unknown;
}

export type Settlement =
  | { readonly status: "pending" }
  | { readonly status: "resolved"; readonly value: unknown }
  | { readonly status: "rejected"; readonly value: unknown };

/** The visible state of a node. */
export interface Look {
  readonly state: string | undefined;
  readonly status: string | undefined;
  readonly reason: unknown;
  readonly errors: readonly unknown[] | undefined;
  readonly deadline: number | undefined;
  /** Whether its signal, once somebody has read it, is aborted. */
  readonly aborted: boolean | undefined;
}

const errors = new Map<string, Error>();

/** The error of that name: both trees throw the same object. */
export function errorNamed(name: string, ending: "error" | "abort" = "error"): Error {
  const key = `${ending} ${name}`;
  let error = errors.get(key);
  if (error === undefined) {
    error = new Error(key);
    if (ending === "abort") error.name = "AbortError";
    errors.set(key, error);
  }
  return error;
}

export function forgetErrors(): void {
  errors.clear();
}
