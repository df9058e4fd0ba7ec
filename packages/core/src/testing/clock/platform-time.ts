import nodeModule from "node:module";
import timersModule from "node:timers";
import timersPromises from "node:timers/promises";
import { promisify } from "node:util";
import { LongTimer } from "../../kernel/long-timer.js";

interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  readonly ref?: boolean | undefined;
}

const names = ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] as const;
type Timers = Record<(typeof names)[number], unknown>;
type Wait = (delay?: number, value?: unknown, options?: WaitOptions) => Promise<unknown>;
type Every = (delay?: number, value?: unknown, options?: WaitOptions) => AsyncIterableIterator<unknown>;

const timers = timersModule as unknown as Timers;
const promises = timersPromises as unknown as { setTimeout: Wait; setInterval: Every };
const scheduler = timersPromises.scheduler as { wait?: Wait } | undefined;

/** The functions as they were when this module was loaded, to restore for modules that imported them by name. */
const original = {
  timers: Object.fromEntries(names.map((name) => [name, timers[name]])) as Timers,
  setTimeout: promises.setTimeout,
  setInterval: promises.setInterval,
};

/**
 * Lets the other timers of the platform follow the global timers, which are fake. These are `AbortSignal.timeout`,
 * `node:timers` and `node:timers/promises`, also for modules that imported them by name before.
 *
 * @param ours - Whether the global timers are our own and not a test runner's.
 * @returns A function that restores the real ones. Virtual timers that code has kept go on in real time.
 */
export function fakePlatform(ours: boolean): () => void {
  let active = true;
  const isActive = (): boolean => active;
  const before = {
    timers: { ...timers },
    setTimeout: promises.setTimeout,
    setInterval: promises.setInterval,
  };
  const wait = virtualWait(isActive);
  for (const name of names) timers[name] = globalThis[name];
  promises.setTimeout = wait;
  promises.setInterval = virtualInterval(isActive);
  if (scheduler !== undefined) {
    const value = (delay?: number, options?: WaitOptions) => wait(delay, undefined, options);
    Object.defineProperty(scheduler, "wait", { value, configurable: true, writable: true });
  }
  // Of the globals themselves, so that it is removed with them.
  if (ours)
    Object.defineProperty(globalThis.setTimeout, promisify.custom, { value: wait, configurable: true });
  const restoreSignal = fakeSignalTimeout(isActive);
  syncExports();
  return () => {
    active = false;
    restoreSignal();
    if (scheduler !== undefined) Reflect.deleteProperty(scheduler, "wait");
    for (const name of names) timers[name] = original.timers[name];
    promises.setTimeout = original.setTimeout;
    promises.setInterval = original.setInterval;
    syncExports();
    // A test runner's fake timers may have changed the modules, but not the functions that were imported by name.
    for (const name of names) timers[name] = before.timers[name];
    promises.setTimeout = before.setTimeout;
    promises.setInterval = before.setInterval;
  };
}

function syncExports(): void {
  const { syncBuiltinESMExports } = nodeModule as { syncBuiltinESMExports?: () => void };
  syncBuiltinESMExports?.();
}

function fakeSignalTimeout(isActive: () => boolean): () => void {
  const { AbortSignal, AbortController, DOMException } = globalThis;
  const descriptor = Object.getOwnPropertyDescriptor(AbortSignal, "timeout");
  if (typeof descriptor?.value !== "function") return () => undefined;
  const real = descriptor.value as (this: unknown, delay: number) => AbortSignal;
  const timeout = function timeout(this: unknown, delay: number): AbortSignal {
    // The platform refuses bad arguments with its own errors.
    if (!isActive() || !Number.isInteger(delay) || delay < 0 || delay >= 2 ** 32) {
      return Reflect.apply(real, AbortSignal, [delay]);
    }
    const controller = new AbortController();
    const timer = new LongTimer(delay, () => {
      controller.abort(new DOMException("The operation was aborted due to timeout", "TimeoutError"));
    });
    timer.hold(false);
    return controller.signal;
  };
  Object.defineProperty(AbortSignal, "timeout", { ...descriptor, value: timeout });
  return () => void Object.defineProperty(AbortSignal, "timeout", descriptor);
}

/** Whether Node would take the arguments, and has a reason to wait. */
function areValid(delay: unknown, options: WaitOptions | undefined): boolean {
  if (delay !== undefined && typeof delay !== "number") return false;
  if (options === undefined) return true;
  if (typeof options !== "object" || options === null) return false;
  const { signal, ref } = options as { signal?: unknown; ref?: unknown };
  if (ref !== undefined && typeof ref !== "boolean") return false;
  return signal === undefined || (signal instanceof AbortSignal && !signal.aborted);
}

/** `setTimeout` of `node:timers/promises` by the global timers. It throws and rejects with Node's errors. */
function virtualWait(isActive: () => boolean): Wait {
  return function setTimeout(delay, value, options) {
    if (!isActive() || !areValid(delay, options)) return original.setTimeout(delay, value, options);
    return new Promise((resolve, reject) => {
      const { signal, ref = true } = options ?? {};
      const onAbort = (): void => {
        clearTimeout(timer);
        // Aborted by now, so it rejects at once.
        original.setTimeout(delay, value, options).catch(reject);
      };
      const timer = globalThis.setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve(value);
      }, delay);
      if (!ref && typeof timer === "object") timer.unref();
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  };
}

/** `setInterval` of `node:timers/promises` by the global timers: missed ticks are made up for, as in Node. */
function virtualInterval(isActive: () => boolean): Every {
  async function* every(
    delay: number | undefined,
    value: unknown,
    options: WaitOptions,
  ): AsyncGenerator<unknown, void> {
    const { signal, ref = true } = options;
    let due = 0;
    let wake = (): void => undefined;
    const interval = globalThis.setInterval(() => {
      due += 1;
      wake();
    }, delay);
    if (!ref && typeof interval === "object") interval.unref();
    const onAbort = (): void => {
      clearInterval(interval);
      wake();
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      while (signal?.aborted !== true) {
        if (due === 0) await new Promise<void>((resolve) => (wake = resolve));
        for (; due > 0; due--) yield value;
      }
      await original.setInterval(delay, value, options).next(); // throws the errors of Node
    } finally {
      clearInterval(interval);
      signal?.removeEventListener("abort", onAbort);
    }
  }
  return function setInterval(delay, value, options) {
    if (!isActive() || !areValid(delay, options)) return original.setInterval(delay, value, options);
    return every(delay, value, options ?? {});
  };
}
