import { AsyncResource } from "node:async_hooks";
import { realIntervals, realTimers as real } from "../../kernel/platform.js";
import { captureStack, isInternal, readFrames } from "../leaks/stack.js";

/** A scheduler of callbacks: a clock of `@sinonjs/fake-timers`, or the platform. */
export interface Scheduler {
  readonly now: number;
  setTimeout(callback: () => void, ms: number): unknown;
  setInterval(callback: () => void, ms: number): unknown;
  clearTimeout(timer: never): void;
}

interface NodeTimer {
  readonly _destroyed?: boolean;
  _onTimeout?: ((...given: unknown[]) => void) | null;
  _idleTimeout?: number;
  _timerArgs?: readonly unknown[];
  refresh(): NodeTimer;
  unref(): NodeTimer;
  ref(): NodeTimer;
  hasRef(): boolean;
}

/** The clock that is installed. */
let installed: VirtualTimers | undefined;

const startedAgain = new WeakSet<object>();

/** Whether a real timer replaces one that was set under a virtual clock. */
export function isStartedAgain(timer: object): boolean {
  return startedAgain.has(timer);
}

/** The numbers of timers that code has read: `clearTimeout(+timer)`. Above those of Node and of the library. */
const byNumber = new Map<number, VirtualTimer>();
let lastNumber = 2 ** 52;

/**
 * The global `setTimeout` and `setInterval` return this under a virtual clock: as far as libraries use it, Node's
 * `Timeout`. It may outlive the clock, as a library's module-wide timer does: `refresh()` starts it by the clock that is
 * installed then, or in real time.
 */
export class VirtualTimer {
  readonly #delay: number;
  readonly #repeats: boolean;
  /** Whether code that does not run under the clock has set it: another test, for example. */
  readonly #isOutside: boolean = installed?.isOutside() ?? false;
  #callback: (() => void) | null;
  /** Ends the pending timer; `undefined` while none is pending. */
  #stop: (() => void) | undefined;
  /** The pending timer, if it is real. */
  #real: NodeTimer | undefined;
  #holds = true;
  #number: number | undefined;
  #due = 0;
  /** Node's `clearTimeout` ignores a destroyed timer. */
  readonly _destroyed = true;
  readonly _idleTimeout: number;
  readonly _repeat: number | null;

  constructor(callback: () => void, delay: number, repeats: boolean) {
    this.#callback = callback;
    this.#delay = delay;
    this.#repeats = repeats;
    this._idleTimeout = delay;
    this._repeat = repeats ? delay : null;
    this.#start(delay);
  }

  #start(delay: number): void {
    if (installed === undefined) this.#startReal(delay);
    else {
      this.#due = installed.scheduler.now + delay;
      this.#stop = installed.start(this, () => this.#fire(), delay, this.#repeats);
    }
  }

  #startReal(delay: number): void {
    const { setTimeout, clearTimeout } = real;
    const { setInterval } = realIntervals;
    const timer = (this.#repeats ? setInterval : setTimeout)(() => this.#fire(), delay);
    this.#real = timer as unknown as NodeTimer;
    startedAgain.add(timer);
    if (!this.#holds) timer.unref();
    this.#stop = () => clearTimeout(timer);
  }

  #end(): void {
    this.#stop?.();
    this.#stop = undefined;
    this.#real = undefined;
  }

  #fire(): void {
    if (!this.#repeats) this.#end();
    this.#callback?.();
  }

  /**
   * Called when its clock was removed. The timer continues in real time if it was set outside of the clock, or is the
   * housekeeping of a library (`unref()`); otherwise it never fires.
   */
  clockRemoved(scheduler: Scheduler): void {
    this.#end();
    if (this.#callback === null || (this.#holds && !this.#isOutside)) return;
    this.#startReal(Math.max(1, this.#due - scheduler.now));
  }

  refresh(): this {
    if (this.#callback === null) return this;
    this.#end();
    this.#start(this.#delay);
    return this;
  }

  close(): this {
    this.#callback = null;
    this.#end();
    if (this.#number !== undefined) byNumber.delete(this.#number);
    return this;
  }

  ref(): this {
    this.#holds = true;
    this.#real?.ref();
    return this;
  }

  unref(): this {
    this.#holds = false;
    this.#real?.unref();
    return this;
  }

  hasRef(): boolean {
    return this.#holds;
  }

  get _onTimeout(): (() => void) | null {
    return this.#callback;
  }

  /** Node's own `clearTimeout`, which code may have kept, sets this to `null`. */
  set _onTimeout(callback: (() => void) | null) {
    if (callback === null) this.close();
    else this.#callback = callback;
  }

  [Symbol.toPrimitive](): number {
    if (this.#number === undefined) byNumber.set((this.#number = ++lastNumber), this);
    return this.#number;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

type Callback = (...given: unknown[]) => void;

/** The timers of one virtual clock: `setTimeout` and its kind call it while it is installed. */
export class VirtualTimers {
  readonly scheduler: Scheduler;
  readonly #pending = new Set<VirtualTimer>();
  /** Older timers of Node that were started again since. */
  readonly #adopted = new Map<NodeTimer, () => void>();
  /** Sockets refresh theirs with each packet: the caller is looked up once. */
  readonly #isNodes = new WeakMap<NodeTimer, boolean>();
  readonly #restoreRefresh: () => void;

  readonly isOutside: () => boolean;

  constructor(scheduler: Scheduler, isOutside: () => boolean) {
    this.scheduler = scheduler;
    this.isOutside = isOutside;
    installed = this;
    this.#restoreRefresh = this.#replaceRefresh();
  }

  start(timer: VirtualTimer, fire: () => void, delay: number, repeats: boolean): () => void {
    const { scheduler } = this;
    this.#pending.add(timer);
    const started = repeats ? scheduler.setInterval(fire, delay) : scheduler.setTimeout(fire, delay);
    return () => {
      this.#pending.delete(timer);
      scheduler.clearTimeout(started as never);
    };
  }

  /** A timer whose callback runs in the async context of the caller, as that of a real one does. */
  create(callback: Callback, delay: unknown, given: readonly unknown[], repeats: boolean): VirtualTimer {
    const bound = AsyncResource.bind((): void => Reflect.apply(callback, timer, given));
    // By Node's rules a delay that is not a number or is too short is 1; in the library 0 is this instant, unless it is under way.
    const number = Number(delay);
    const ms = Number.isNaN(number) ? 0 : number > 2 ** 31 - 1 ? 1 : Math.max(0, Math.trunc(number));
    const timer: VirtualTimer = new VirtualTimer(bound, ms, repeats);
    return timer;
  }

  /** @param timer - A virtual timer, the number of one, or a timer that was set before the clock was installed. */
  clear(timer: unknown): void {
    if (timer instanceof VirtualTimer) return void timer.close();
    const known =
      typeof timer === "number" || typeof timer === "string" ? byNumber.get(Number(timer)) : undefined;
    if (known !== undefined) return void known.close();
    this.#adopted.get(timer as NodeTimer)?.();
    this.#adopted.delete(timer as NodeTimer);
    real.clearTimeout(timer as NodeJS.Timeout);
  }

  /** Ends or continues the pending timers when the clock is uninstalled. */
  remove(): void {
    installed = undefined;
    this.#restoreRefresh();
    for (const timer of this.#pending) timer.clockRemoved(this.scheduler);
    for (const [timer, stop] of this.#adopted) {
      stop();
      timer.refresh();
    }
  }

  /** Lets `refresh()` of a timer from before follow the clock. Those of Node itself, on sockets, stay real. */
  #replaceRefresh(): () => void {
    const probe = real.setTimeout(() => undefined, 1) as unknown as NodeTimer;
    real.clearTimeout(probe as unknown as NodeJS.Timeout);
    const prototype = Object.getPrototypeOf(probe) as { refresh?: (this: NodeTimer) => NodeTimer };
    const { refresh } = prototype;
    if (typeof refresh !== "function") return () => undefined;
    const timers = this;
    const replaced = function (this: NodeTimer): NodeTimer {
      if (!timers.#adopt(this, replaced)) Reflect.apply(refresh, this, []);
      return this;
    };
    prototype.refresh = replaced;
    return () => void (prototype.refresh = refresh);
  }

  #adopt(timer: NodeTimer, refresh: unknown): boolean {
    const { _onTimeout: callback, _idleTimeout: delay, _timerArgs: given = [] } = timer;
    if (typeof callback !== "function" || delay === undefined || delay < 0) return false;
    let isNodes = this.#isNodes.get(timer);
    if (isNodes === undefined) this.#isNodes.set(timer, (isNodes = calledByNode(refresh)));
    if (isNodes) return false;
    this.#adopted.get(timer)?.();
    // Takes the timer out of Node's lists, and keeps its state.
    real.clearTimeout(timer as unknown as NodeJS.Timeout);
    timer._onTimeout = callback;
    timer._idleTimeout = delay;
    const { scheduler } = this;
    const fire = AsyncResource.bind(() => {
      this.#adopted.delete(timer);
      if (timer._onTimeout !== null) Reflect.apply(callback, timer, given);
    });
    const started = scheduler.setTimeout(fire, delay);
    this.#adopted.set(timer, () => scheduler.clearTimeout(started as never));
    return true;
  }
}

/** Whether `refresh()` was called by Node itself, other than by the undici that it has built in. */
function calledByNode(refresh: unknown): boolean {
  const [caller = ""] = readFrames(captureStack(refresh as () => void));
  return isInternal(caller) && !caller.includes("node:internal/deps/");
}
