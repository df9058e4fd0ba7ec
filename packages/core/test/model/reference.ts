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

/** Why something was cancelled. One object per cancellation, as in the real tree. */
export class ModelReason {
  readonly kind: string;
  readonly scope: string;
  readonly cause: unknown;

  constructor(kind: string, scope: string, cause: unknown) {
    this.kind = kind;
    this.scope = scope;
    this.cause = cause;
  }
}

interface Listener {
  readonly name: string;
  readonly run: () => void;
}

/**
 * Something that the runtime does a moment later. Others can tell when it ran if it starts a worker, has an
 * effect (a cancellation, a failure), or meddles with another node.
 */
interface Job {
  readonly kind: "body" | "cleanup" | "start";
  readonly node: Model;
  trace: Trace;
  readonly run: () => void;
  /** The job in which it was made. */
  readonly after: Job | undefined;
  /** Jobs of one batch were made in one synchronous stretch. Bodies of one batch end in their order. */
  readonly batch: number;
}

type Kind = "background" | "handle" | "block" | "task";

type Trace = 0 | 1 | 2 | 3;
const STARTS = 1;
const EFFECT = 2;
const MEDDLES = 3;

class Model {
  readonly name: string;
  readonly kind: Kind;
  readonly parent: Model | undefined;
  readonly spec: NodeSpec;
  readonly work: WorkSpec | undefined;
  readonly children: Model[] = [];
  readonly queue: Model[] = [];
  readonly errors: unknown[] = [];
  readonly waiters: { name: string; kind: WaitKind }[] = [];
  readonly abortListeners: Listener[] = [];
  readonly callbacks: Listener[] = [];
  readonly cleanups: { name: string; spec: CleanupSpec }[] = [];
  body: "none" | "queued" | "running" | "ended" = "none";
  /** Whether its worker was ever called: only then has anybody seen its scope. */
  seen = false;
  /** Whether its worker, if it is held, has been told to end. */
  told = false;
  value: unknown = undefined;
  reason: ModelReason | undefined = undefined;
  deadline: number | undefined = undefined;
  ending = false;
  closed = false;
  /** Its cancellation has listeners to call still. */
  notifying = false;
  cleaning = false;
  daemonsStopped = false;
  /** Its work was cut short. */
  cut = false;
  timedOut = false;
  closedByOwner = false;
  delivered = false;
  /** In which node each of the `errors` happened. */
  readonly origins: Map<unknown, Model> = new Map<unknown, Model>();
  running = 0;
  signalRead = false;

  constructor(name: string, kind: Kind, parent: Model | undefined, spec: NodeSpec, work?: WorkSpec) {
    this.name = name;
    this.kind = kind;
    this.parent = parent;
    this.spec = spec;
    this.work = work;
  }

  get daemon(): boolean {
    return this.spec.daemon === true;
  }

  get supervises(): boolean {
    return this.kind === "background" || this.spec.supervise === true;
  }

  /** A task's failure is its parent's, at once. */
  get sharesFailures(): boolean {
    return this.kind === "task" && this.parent?.supervises === false;
  }

  get path(): string {
    const above = this.parent?.path ?? "";
    return this.kind === "background" ? "" : above === "" ? this.name : `${above}/${this.name}`;
  }

  get dueAt(): number | undefined {
    return this.deadline ?? this.parent?.dueAt;
  }

  isWithin(ancestor: Model): boolean {
    return this === ancestor || this.parent?.isWithin(ancestor) === true;
  }
}

/**
 * The reference: the tree of `docs/rules.md` as plain data, searched and filtered instead of linked, recursive, slow
 * and meant to be read beside the rules.
 *
 * User code runs in it as in the real tree. What happens later is a job in a list. The order of two independent jobs is
 * not specified; when it would matter, the model says so (`ambiguous`), and there is nothing to compare.
 */
export class ReferenceTree implements Tree {
  readonly nodes: Map<string, Model> = new Map<string, Model>();
  readonly settlements: Map<string, Settlement> = new Map<string, Settlement>();
  readonly events: Event[] = [];
  readonly reports: { receiver: string; error: unknown }[] = [];
  /** Cleanups that wait for their release, with what they do then. */
  readonly held: Map<string, { node: Model; action: Action }> = new Map();
  /** Callbacks that were ever added, and those that have neither been called nor taken back. */
  readonly hooks: Map<string, Model> = new Map<string, Model>();
  readonly #pendingHooks = new Set<string>();
  ambiguous: string | undefined = undefined;
  now: number = START;

  readonly #background = new Model("background", "background", undefined, {});
  readonly #followers: Model[][] = Array.from({ length: SIGNALS }, () => []);
  readonly #aborted = new Set<number>();
  readonly #timers: Model[] = [];
  readonly #jobs: Job[] = [];
  #decisions: Model[] = [];
  #job: Job | undefined = undefined;
  #batch = 0;
  /** The jobs so far since nothing was left to do. */
  #ran: Job[] = [];

  constructor() {
    this.nodes.set("background", this.#background);
  }

  // What the check says

  createScope(make: string, at: string, spec: NodeSpec): void {
    this.#begin(new Model(make, "handle", this.#node(at), spec));
  }

  withScope(make: string, at: string, spec: NodeSpec, work: WorkSpec): void {
    this.settlements.set(make, { status: "pending" });
    this.#begin(new Model(make, "block", this.#node(at), spec, work));
  }

  spawn(make: string, at: string, spec: NodeSpec, work: WorkSpec): void {
    if (spec.awaited === true) this.settlements.set(make, { status: "pending" });
    this.#begin(new Model(make, "task", this.#node(at), spec, work));
  }

  finish(at: readonly string[], ending: Ending): void {
    for (const name of at) this.#end(this.#node(name), ending);
  }

  cancel(at: string): void {
    const node = this.#node(at);
    this.#saw("result", node, this.#cancel(node, "explicit", errorNamed(`cause of ${at}`)));
  }

  wait(make: string, at: string, kind: WaitKind): void {
    const node = this.#node(at);
    this.settlements.set(make, { status: "pending" });
    if (kind !== "join" && node.reason === undefined && !node.closed) {
      node.closedByOwner = true;
      this.#cancel(node, "closed", undefined);
    }
    node.ending ||= kind === "join";
    if (node.closed) return this.#deliver(node, [{ name: make, kind }]);
    node.waiters.push({ name: make, kind });
    this.#advance(node);
  }

  defer(make: string, at: string, spec: CleanupSpec): void {
    const node = this.#node(at);
    this.#saw("result", node, !node.closed);
    if (!node.closed) node.cleanups.push({ name: make, spec });
  }

  release(cleanup: string): void {
    const { node, action } = this.held.get(cleanup) as { node: Model; action: Action };
    this.held.delete(cleanup);
    this.#later("cleanup", node, () => this.#finishCleanup(node, action));
  }

  onCancel(make: string, at: string, action: Action): void {
    const node = this.#node(at);
    const run = (): void => {
      this.#saw("listener", node, make);
      this.#act(action);
    };
    if (node.reason !== undefined && !node.notifying) {
      this.#runLate(node, run);
    } else {
      if (!node.closed) node.callbacks.push({ name: make, run });
      this.#pendingHooks.add(make);
    }
    this.hooks.set(make, node);
  }

  onAbort(make: string, at: string, action: Action): void {
    const node = this.#node(at);
    const run = (): void => {
      this.#saw("listener", node, make);
      this.#act(action);
    };
    if (node.reason === undefined && !node.closed) node.abortListeners.push({ name: make, run });
  }

  stop(hook: string): void {
    const node = this.hooks.get(hook) as Model;
    const index = node.callbacks.findIndex((listener) => listener.name === hook);
    if (index >= 0) node.callbacks.splice(index, 1);
    this.#saw("result", node, this.#pendingHooks.delete(hook));
  }

  signal(at: string): void {
    this.#node(at).signalRead = true;
  }

  abort(signal: number): void {
    this.#aborted.add(signal);
    const followers = this.#followers[signal] as Model[];
    for (const node of followers.slice()) this.#cancel(node, "signal", errorNamed(`signal ${signal}`));
  }

  tick(): void {
    this.now += TICK;
    for (const node of this.#timers.slice())
      if (node.deadline !== undefined && node.deadline <= this.now) this.#expire(node);
  }

  // What the runtime does by itself, until nothing is left to do

  /** Runs every job, then decides about failures that nobody asked for, and so on. */
  settle(): void {
    do {
      this.#ran = [];
      for (let job = this.#jobs.shift(); job !== undefined; job = this.#jobs.shift()) {
        this.#job = job;
        this.#batch += 1;
        this.#ran.push(job);
        this.#trace(job.kind === "start" ? STARTS : 0);
        job.run();
      }
      this.#job = undefined;
      this.#batch += 1;
      const decisions = this.#decisions.splice(0);
      const heard = decisions.filter((node) => !node.delivered && node.parent?.supervises === false);
      if (heard.length > 1) this.ambiguous = "two failures that nobody asked for";
      for (const node of decisions) this.#decide(node);
    } while (this.#jobs.length > 0 || this.#decisions.length > 0);
  }

  look(name: string): Look {
    const node = this.#node(name);
    return {
      status: node.kind === "task" ? statusOf(node) : undefined,
      ...(this.isSeen(name)
        ? {
            state: stateOf(node),
            reason: node.reason,
            errors: node.errors,
            deadline: node.dueAt,
            aborted: node.signalRead ? node.reason !== undefined : undefined,
          }
        : {
            state: undefined,
            reason: undefined,
            errors: undefined,
            deadline: undefined,
            aborted: undefined,
          }),
    };
  }

  /** Whether code of the check's has the scope (a worker that was not called never got it). */
  isSeen(name: string): boolean {
    const node = this.nodes.get(name);
    return node !== undefined && (node.kind === "handle" || node.seen);
  }

  isHandle(name: string): boolean {
    return this.nodes.get(name)?.kind === "handle";
  }

  isTask(name: string): boolean {
    return this.nodes.get(name)?.kind === "task";
  }

  isHeld(name: string): boolean {
    const node = this.nodes.get(name);
    return node?.body === "running" && !node.told;
  }

  isBelow(name: string, ancestor: string): boolean {
    const node = this.nodes.get(name);
    return node !== undefined && name !== ancestor && node.isWithin(this.#node(ancestor));
  }

  parentOf(name: string): string {
    return this.nodes.get(name)?.parent?.name ?? "";
  }

  leftovers(): string[] {
    return this.#background.children.map((child) => child.name);
  }

  // Birth (rules 3, 4, 7, 16, 17)

  #begin(node: Model): void {
    const parent = node.parent as Model;
    const refused = admission(parent);
    if (refused === "throws") {
      if (node.kind === "block") {
        this.settlements.set(node.name, { status: "rejected", value: "closed" });
      } else {
        this.settlements.delete(node.name);
        this.#saw("result", parent, `${node.name} refused`);
      }
      return;
    }
    if (node.kind !== "block" || refused === undefined) this.nodes.set(node.name, node);
    if (refused === "born cancelled") {
      node.reason = parent.reason;
      node.closed = node.cut = true;
      if (!parent.closed && !node.daemon) parent.cut = true;
      if (this.settlements.has(node.name)) this.#resolve(node);
      return;
    }
    parent.children.push(node);
    if (node.work !== undefined) node.body = "queued";
    const limit = node.kind === "task" ? (parent.spec.concurrency ?? Infinity) : Infinity;
    const waits = parent.running >= limit;
    if (waits) parent.queue.push(node);
    else if (node.kind === "task") parent.running += 1;
    this.#applyLimits(node);
    if (node.daemon && parent.daemonsStopped) this.#cancel(node, "closed", undefined);
    if (!waits && node.work !== undefined) this.#start(node, false);
  }

  #applyLimits(node: Model): void {
    const { signal, timeout } = node.spec;
    if (signal !== undefined && this.#aborted.has(signal)) {
      this.#cancel(node, "signal", errorNamed(`signal ${signal}`));
    } else if (signal !== undefined) {
      this.#followers[signal]?.push(node);
    }
    if (timeout === undefined || node.reason !== undefined) return;
    const deadline = this.now + timeout;
    if ((node.dueAt ?? Infinity) <= deadline) return; // an ancestor's comes first
    node.deadline = deadline;
    if (timeout === 0) this.#expire(node);
    else this.#timers.push(node);
  }

  #start(node: Model, late: boolean): void {
    if (node.reason !== undefined) return;
    const { mode, reaction, hears } = node.work as WorkSpec;
    node.body = "running";
    node.seen = true;
    this.#saw("start", node, node.name);
    if (reaction !== "ignore") {
      const run = (): void => this.#end(node, reaction);
      (hears === "signal" ? node.abortListeners : node.callbacks).push({ name: "reaction", run });
    }
    if (mode === "held") return;
    if (mode === "reject" || (mode === "throw" && late)) return this.#end(node, "error");
    node.told = true;
    if (mode === "value") this.#returned(node);
    else this.#threw(node, errorNamed(node.name), false);
  }

  // Cancellation (rules 13 and 14)

  #cancel(node: Model, kind: string, cause: unknown): boolean {
    if (node.reason !== undefined || node.closed || node.kind === "background") return false;
    const ready: Model[] = [];
    this.#cancelTree(node, new ModelReason(kind, node.path, cause), ready);
    for (const marked of ready) this.#advance(marked);
    return true;
  }

  #cancelTree(root: Model, reason: ModelReason, ready: Model[]): void {
    this.#effect();
    const marked: Model[] = [];
    const mark = (node: Model): void => {
      if (node.reason !== undefined || node.closed) return;
      node.reason = reason;
      node.notifying = true;
      marked.push(node);
      for (const child of node.children) mark(child);
    };
    mark(root);
    ready.push(...marked);
    for (const node of marked) {
      for (const { run } of node.abortListeners.splice(0)) run();
      for (let hook = node.callbacks.shift(); hook !== undefined; hook = node.callbacks.shift()) {
        this.#pendingHooks.delete(hook.name);
        try {
          hook.run();
        } catch (error) {
          this.#failTree(node, error, ready);
        }
      }
      node.notifying = false;
    }
  }

  #runLate(node: Model, run: () => void): void {
    try {
      run();
    } catch (error) {
      if (node.closed) this.#report(node, error);
      else this.#fail(node, error);
    }
  }

  #expire(node: Model): void {
    if (node.reason !== undefined || node.closed) return;
    node.timedOut = true;
    this.#cancel(node, "deadline", undefined);
  }

  // Failure (rules 9 to 12)

  #fail(node: Model, error: unknown): void {
    const ready: Model[] = [];
    this.#failTree(node, error, ready);
    for (const marked of ready) this.#advance(marked);
  }

  #failTree(node: Model, error: unknown, ready: Model[], origin: Model = node): void {
    this.#effect();
    let top = node;
    while (!top.errors.includes(error)) {
      top.errors.push(error);
      top.origins.set(error, origin);
      if (!top.sharesFailures) break;
      top = top.parent as Model;
    }
    if (top.reason === undefined && !top.closed)
      this.#cancelTree(top, new ModelReason("failure", top.path, error), ready);
  }

  #report(node: Model, error: unknown): void {
    let at: Model | undefined = node;
    while (at !== undefined && at.spec.onError !== true) at = at.parent;
    this.reports.push({ receiver: at?.name ?? "nobody", error });
  }

  /** The failures of a settled node have no receiver. */
  #decide(node: Model): void {
    if (!node.delivered) {
      node.delivered = true;
      const parent = node.parent as Model;
      if (node.kind === "handle" && !parent.supervises) {
        const ready: Model[] = [];
        for (const error of node.errors) this.#failTree(parent, error, ready, node.origins.get(error));
        for (const marked of ready) this.#advance(marked);
      } else {
        for (const error of node.errors) this.#report(node, error);
      }
    }
    this.#leave(node);
  }

  // Ending (rules 1, 2, 7, 12, 15)

  /** Tells a held worker to end. Its promise says so a moment later. */
  #end(node: Model, ending: Ending): void {
    if (node.told) return;
    node.told = true;
    const cancelled = node.reason !== undefined;
    this.#later("body", node, () => {
      if (ending === "value") return this.#returned(node);
      if (cancelled && (ending === "reason" || ending === "cause")) return this.#threw(node, undefined, true);
      const looksLike = ending === "abort";
      this.#threw(node, errorNamed(node.name, looksLike ? "abort" : "error"), looksLike);
    });
  }

  #returned(node: Model): void {
    node.value = `value of ${node.name}`;
    this.#bodyEnded(node);
  }

  #threw(node: Model, error: unknown, looksLikeCancellation: boolean): void {
    if (node.reason !== undefined && looksLikeCancellation) {
      node.cut = true;
      this.#failIfTimedOut(node);
    } else {
      this.#fail(node, error);
    }
    this.#bodyEnded(node);
  }

  #failIfTimedOut(node: Model): boolean {
    if (node.kind !== "task" || !node.timedOut || !node.cut || node.errors.length > 0) return false;
    this.#fail(node, node.reason);
    return true;
  }

  #bodyEnded(node: Model): void {
    node.body = "ended";
    node.ending = true;
    this.#advance(node);
  }

  /** Body, children, daemons, defers, then whoever waits. */
  #advance(node: Model): void {
    if (node.closed || node.notifying || node.cleaning || node.body === "running") return;
    if (node.reason === undefined && !node.ending) return;
    if (node.children.some((child) => !child.daemon)) return;
    if (node.body === "queued") node.cut = true;
    if (this.#failIfTimedOut(node)) return this.#advance(node); // that may have changed everything
    if (node.children.length > 0) return this.#stopDaemons(node);
    if (node.cleanups.length > 0) {
      node.cleaning = true;
      return this.#clean(node);
    }
    this.#close(node);
  }

  #stopDaemons(node: Model): void {
    if (node.daemonsStopped) return;
    node.daemonsStopped = true;
    const ready: Model[] = [];
    for (const daemon of node.children.slice()) {
      if (daemon.reason === undefined && !daemon.closed)
        this.#cancelTree(daemon, new ModelReason("closed", daemon.path, undefined), ready);
    }
    for (const marked of ready) this.#advance(marked);
  }

  #clean(node: Model): void {
    const cleanup = node.cleanups.pop();
    if (cleanup === undefined) {
      node.cleaning = false;
      return this.#advance(node);
    }
    this.#later("cleanup", node, () => {
      this.#saw("cleanup", node, cleanup.name);
      const { held, action } = cleanup.spec;
      if (held) this.held.set(cleanup.name, { node, action });
      else this.#finishCleanup(node, action);
    });
  }

  #finishCleanup(node: Model, action: Action): void {
    try {
      this.#act(action);
    } catch (error) {
      this.#fail(node, error);
    }
    this.#later("cleanup", node, () => this.#clean(node));
  }

  #close(node: Model): void {
    node.closed = true;
    node.callbacks.length = 0;
    const timer = this.#timers.indexOf(node);
    if (timer >= 0) this.#timers.splice(timer, 1);
    for (const followers of this.#followers) {
      const index = followers.indexOf(node);
      if (index >= 0) followers.splice(index, 1);
    }
    if (this.settlements.has(node.name)) this.#resolve(node);
    this.#deliver(node, node.waiters.splice(0));
    if (node.errors.length > 0 && !node.delivered && !node.sharesFailures) this.#decisions.push(node);
    else this.#leave(node);
  }

  #resolve(node: Model): void {
    node.delivered = true;
    if (node.errors.length > 0)
      this.settlements.set(node.name, { status: "rejected", value: node.errors[0] });
    else if (node.cut) this.settlements.set(node.name, { status: "rejected", value: node.reason });
    else this.settlements.set(node.name, { status: "resolved", value: node.value });
  }

  #deliver(node: Model, waiters: readonly { name: string; kind: WaitKind }[]): void {
    const failed = node.errors.length > 0;
    if (failed && waiters.some(({ kind }) => kind !== "dispose")) node.delivered = true;
    for (const { name, kind } of waiters) {
      const told = kind !== "dispose" || (!node.delivered && !isReceived(node));
      if (failed && told) {
        this.settlements.set(name, { status: "rejected", value: node.errors[0] });
        node.delivered = true;
      } else if (!failed && kind === "join" && node.cut) {
        this.settlements.set(name, { status: "rejected", value: node.reason });
      } else {
        this.settlements.set(name, { status: "resolved", value: undefined });
        if (failed) node.delivered = true;
      }
    }
  }

  #leave(node: Model): void {
    const parent = node.parent as Model;
    parent.children.splice(parent.children.indexOf(node), 1);
    if (node.cut && !node.daemon && node.reason === parent.reason) parent.cut = true;
    if (node.kind === "task") {
      const place = parent.queue.indexOf(node);
      const next = place >= 0 ? undefined : parent.queue.shift();
      if (place >= 0) parent.queue.splice(place, 1);
      else if (next === undefined) parent.running -= 1;
      else this.#later("start", next, () => this.#start(next, true));
    }
    this.#advance(parent);
  }

  // Small things

  #act(action: Action): void {
    if (action.do === "throw") throw errorNamed(action.error);
    if (action.do === "nothing") return;
    if (action.do === "stop" || action.at !== this.#job?.node.name) this.#trace(MEDDLES);
    if (!this.#possible(action)) return;
    if (action.do === "cancel") this.cancel(action.at);
    else if (action.do === "spawn") this.spawn(action.make, action.at, {}, action.work);
    else if (action.do === "defer")
      this.defer(action.make, action.at, { held: false, action: { do: "nothing" } });
    else if (action.do === "signal") this.signal(action.at);
    else if (action.do === "close") this.wait(action.make, action.at, "close");
    else this.stop(action.hook);
  }

  #possible(action: Action): boolean {
    if (action.do === "stop") return this.hooks.has(action.hook);
    if (action.do === "close") return this.isHandle(action.at);
    return "at" in action && this.isSeen(action.at);
  }

  #node(name: string): Model {
    return this.nodes.get(name) as Model;
  }

  #saw(kind: Event["kind"], node: Model, what: unknown): void {
    this.events.push({ kind, of: node.name, what });
  }

  #later(kind: Job["kind"], node: Model, run: () => void): void {
    this.#jobs.push({ kind, node, run, trace: 0, after: this.#job, batch: this.#batch });
  }

  /** The job that runs does something that others can see. */
  #effect(): void {
    this.#trace(EFFECT);
  }

  #trace(trace: Trace): void {
    const job = this.#job;
    if (job === undefined) return;
    job.trace = Math.max(job.trace, trace) as Trace;
    for (const other of this.#ran) {
      const [less, more] = [Math.min(job.trace, other.trace), Math.max(job.trace, other.trace)];
      const matters = more === MEDDLES || (more === EFFECT && less >= STARTS);
      if (matters && !comesFirst(other, job)) this.ambiguous = `a ${other.kind} or a ${job.kind} first`;
    }
  }
}

/** Whether `job` follows from `earlier`, or from a body that ended right before or after it. */
function comesFirst(earlier: Job, job: Job): boolean {
  for (let at: Job | undefined = job; at !== undefined; at = at.after) {
    if (at === earlier) return true;
    if (at.kind === "body" && earlier.kind === "body" && at.batch === earlier.batch) return true;
  }
  return false;
}

/** The table of rule 4; `undefined`: it starts. */
function admission(parent: Model): "throws" | "born cancelled" | undefined {
  if (parent.reason !== undefined) return parent.closed && parent.closedByOwner ? "throws" : "born cancelled";
  if (parent.closed || parent.cleaning) return "throws";
  if (!parent.ending || parent.body === "running" || parent.children.length > 0) return undefined;
  return "throws";
}

function stateOf(node: Model): string {
  if (node.closed) return "closed";
  if (node.reason !== undefined) return "cancelling";
  return node.ending ? "closing" : "open";
}

function statusOf(node: Model): string {
  if (!node.closed) return node.body === "queued" ? "queued" : "running";
  if (node.errors.length > 0) return "failed";
  return node.cut ? "cancelled" : "succeeded";
}

/** Whether somebody has awaited the task in which the first failure of `node` happened, or one that it went through. */
function isReceived(node: Model): boolean {
  for (let at = node.origins.get(node.errors[0]); at !== undefined && at !== node; at = at.parent)
    if (at.delivered) return true;
  return false;
}
