/**
 * The globals of the platform that tests replace: timers, clocks, and the functions that defer a callback. This is the only file
 * that touches them; `test/architecture.test.ts` refuses them elsewhere, except where a fake clock is put in place.
 *
 * | use                                           | taken     | from                                   | why |
 * | --------------------------------------------- | --------- | -------------------------------------- | --- |
 * | the user's time: `sleep`, timeouts, grace, …  | each call | `setTimeout`, `clearTimeout`           | a test's fake timers drive it. See `long-timer.ts` |
 * | the calendar: `deadline` as a date, instants  | each call | `Date.now`                             | a test sets the date |
 * | the monotonic clock that real timers go by    | at load   | `performance.now`                      | fakes replace it with one that begins at 0; `monotonic-clock.ts` says which clock counts |
 * | "after the microtasks that are queued now"    | at load   | a promise job, then `process.nextTick` | Jest and sinon fake `nextTick` and `queueMicrotask` by default: no scope would settle |
 * | a turn of the event loop                      | at load   | `setImmediate`, else `MessageChannel`  | Jest, sinon, vitest and `node:test` fake `setImmediate` by default |
 * | the runtime's own delays: sweeps of sockets   | at load   | `setTimeout`, `setInterval`            | sockets do not follow a fake clock |
 *
 * The functions that each library fakes by default:
 *
 * | library                | timers, `setImmediate` | `Date` | `performance`, `hrtime` | `nextTick`, `queueMicrotask` |
 * | ---------------------- | ---------------------- | ------ | ----------------------- | ---------------------------- |
 * | vitest                 | yes                    | yes    | yes                     | no                           |
 * | sinon, Jest            | yes                    | yes    | yes                     | yes                          |
 * | Jest's legacy timers   | yes                    | no     | no                      | yes (`nextTick`)             |
 * | `node:test`            | yes                    | yes    | no                      | no                           |
 * | `vi.setSystemTime`, mockdate | no               | yes    | no                      | no                           |
 *
 * **The package may be loaded when the fakes are in place already** (`vi.resetModules()`, Jest's `resetModules`). sinon,
 * vitest and Jest keep the replaced functions on their clock, and they are taken from there. `node:test` keeps it to itself, but
 * fakes neither `nextTick` nor `MessageChannel`, so scopes settle; only the delays of the last row follow its clock then.
 */

type Callback = () => void;

interface Marks {
  readonly clock?: Readonly<Record<string, unknown>>;
  readonly _isMockFunction?: unknown;
}

/** Whether `value` is a test library's replacement of a global. */
export function isFake(value: unknown): boolean {
  if (typeof value !== "function") return false;
  // By these marks of sinon's and Jest's, other libraries recognise fake timers. `node:test` has bound private methods.
  return Object.hasOwn(value, "clock") || "_isMockFunction" in value || value.name.startsWith("bound #");
}

/** `holder[name]`, or what a fake of the sinon family has replaced. */
function originalOf<T extends object, K extends keyof T & string>(holder: T, name: K): T[K] {
  let value: unknown = holder[name];
  for (let depth = 0; depth < 8; depth++) {
    const saved = (value as Marks | undefined)?.clock?.[`_${name}`];
    if (saved === undefined || saved === value) break;
    value = saved;
  }
  return value as T[K];
}

/** Outside of Node, most of these may be missing. */
const platform = globalThis as {
  readonly process?: {
    nextTick?: (callback: Callback) => void;
    on?: (event: string, callback: Callback) => unknown;
    off?: (event: string, callback: Callback) => unknown;
  };
  readonly setImmediate?: (callback: Callback) => unknown;
  readonly Deno?: { unrefTimer?: (timer: number) => void };
  readonly MessageChannel?: typeof MessageChannel;
  readonly Performance?: { readonly prototype: { now(): number } };
} & Pick<
  typeof globalThis,
  "setTimeout" | "clearTimeout" | "setInterval" | "clearInterval" | "queueMicrotask" | "performance" | "Date"
>;

/** Whether the engine is the JavaScriptCore of Bun, where other code is fast than in V8. */
export const isBun: boolean = "Bun" in globalThis;

// ---- taken at load

/**
 * The timer functions of the platform, even while a test fakes them. In code for browsers, call them without this
 * object: browsers refuse another `this`.
 */
export const realTimers: {
  readonly setTimeout: typeof setTimeout;
  readonly clearTimeout: typeof clearTimeout;
} = {
  setTimeout: originalOf(platform, "setTimeout"),
  clearTimeout: originalOf(platform, "clearTimeout"),
};

/** The same for intervals. */
export const realIntervals: {
  readonly setInterval: typeof setInterval;
  readonly clearInterval: typeof clearInterval;
} = /* @__PURE__ */ findIntervals();

function findIntervals(): typeof realIntervals {
  return {
    setInterval: originalOf(platform, "setInterval"),
    clearInterval: originalOf(platform, "clearInterval"),
  };
}

export const realQueueMicrotask: typeof queueMicrotask = /* @__PURE__ */ originalOf(
  platform,
  "queueMicrotask",
);

const { setTimeout: realSetTimeout } = realTimers;

/** Sets a timer of the runtime that does not keep the process alive. */
export function setUnrefTimer(callback: Callback, ms: number): void {
  const timer: { unref?: () => void } | number = realSetTimeout(callback, ms);
  if (typeof timer === "object") timer.unref?.();
  else platform.Deno?.unrefTimer?.(timer); // its global `setTimeout` returns a number
}

/** The monotonic clock, in ms from some moment in the past. */
export const realNow: () => number = chooseNow();

function chooseNow(): () => number {
  const performance = originalOf(platform, "performance");
  const prototype = platform.Performance?.prototype;
  // Taken from the prototype: tests put another `now` on the object. Bun's prototype has none.
  const inherits = prototype !== undefined && "now" in prototype && prototype.isPrototypeOf(performance);
  // oxlint-disable-next-line typescript/unbound-method -- called with its receiver
  const { now } = inherits ? prototype : performance;
  return isBun ? () => now.call(performance) : now.bind(performance); // a bound function is slow there
}

const RealDate = originalOf(platform, "Date");
const realDateNow: unknown = Reflect.get(RealDate, "now");

/** Whether a test has replaced the calendar. */
export function isDateReplaced(): boolean {
  // oxlint-disable-next-line typescript/unbound-method -- only its identity matters
  return Date !== RealDate || Date.now !== realDateNow;
}

/** The function `holder[name]` of the platform, unless it is missing or a fake. */
function realFunction<K extends string>(
  holder: { readonly [key in K]?: (callback: Callback) => unknown } | undefined,
  name: K,
): ((callback: Callback) => unknown) | undefined {
  if (typeof holder?.[name] !== "function") return undefined;
  const original = originalOf(holder, name);
  return isFake(original) ? undefined : original;
}

/**
 * Calls back after one turn of the event loop, in which timers, I/O and signals have been served. It uses no timer:
 * browsers delay timers by 4 ms, and no test would advance a fake clock for it.
 */
export const onTurn: (callback: Callback) => void = chooseTurn();

/** As {@link onTurn}, without keeping the process alive for it. */
export function onUnrefTurn(callback: Callback): void {
  const turn = onTurn(callback) as unknown as { unref?: () => void } | undefined;
  turn?.unref?.();
}

function chooseTurn(): (callback: Callback) => void {
  const { MessageChannel } = platform;
  const immediate = realFunction(platform, "setImmediate");
  if (immediate !== undefined) return immediate;
  if (typeof MessageChannel === "function") {
    return (callback) => {
      const { port1, port2 } = new MessageChannel();
      const onMessage = (): void => {
        port1.close();
        callback();
      };
      Object.assign(port1, { onmessage: onMessage }); // the types of Node know no such property
      port2.postMessage(undefined);
    };
  }
  return (callback) => void realSetTimeout(callback, 0);
}

/** Resolves after one turn of the event loop; see {@link onTurn}. */
export function turn(): Promise<void> {
  return new Promise((resolve) => onTurn(resolve));
}

/** Calls back before the event loop continues, as `process.nextTick` does; without that function, after one turn. */
export const onNextTick: (callback: Callback) => void = realFunction(platform.process, "nextTick") ?? onTurn;

const resolved = Promise.resolve();

/**
 * Calls back when the queued microtasks have run. This is the moment at which the platform decides that a rejection is
 * unhandled.
 */
export function afterMicrotasks(decide: Callback): void {
  void resolved.then(() => onNextTick(decide));
}

// ---- taken at each call

/** The `setTimeout` that is in place now. */
export function currentSetTimeout(): typeof setTimeout {
  return globalThis.setTimeout;
}

export function currentClearTimeout(): typeof clearTimeout {
  return globalThis.clearTimeout;
}

/** The calendar: epoch ms, which may be set to any other time at any moment. Not for durations. */
export function calendarNow(): number {
  return Date.now();
}

// ---- the end of the process

/** Calls `callback` when the process is about to end by itself. Returns a function that removes the callback. */
export function beforeProcessEnd(callback: Callback): () => void {
  const { process } = platform;
  process?.on?.("beforeExit", callback);
  return () => void process?.off?.("beforeExit", callback);
}
