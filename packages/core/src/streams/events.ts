import { callSite } from "../kernel/call-site.js";
import type { Scope } from "../kernel/scope.js";
import { optionNames } from "../errors/option-names.js";
import { wrongType, checkType, checkLimit, checkOptionsObject } from "../errors/validate.js";
import { EventIterator, type AnyEmitter } from "./event-iterator.js";
import { hasMethods } from "./node-reader.js";

type Listener = (...values: unknown[]) => void;

/** The part of Node's `EventEmitter` that `events` uses. */
export interface EventEmitterLike {
  on(event: string | symbol, listener: Listener): unknown;
  off(event: string | symbol, listener: Listener): unknown;
}

/** The options of {@link events}. */
export interface EventsOptions {
  /** How many events may wait for the consumer. If there are more, the oldest are dropped. Default `Infinity`. */
  readonly buffer?: number | undefined;
  /** The event that ends the iteration, such as `"close"`. The events before it are delivered first. Default: none. */
  readonly until?: string | undefined;
}

const eventsOptionNames = optionNames<EventsOptions>({ buffer: true, until: true });

/**
 * Iterates over the events of an `EventTarget` or an `EventEmitter`, for `for await`. It listens from this call on, so
 * that it misses none, until the loop is left or `scope` ends.
 *
 * Events that arrive while the consumer is busy are buffered, without a limit unless `buffer` is given.
 *
 * **Cancellation:** when `scope` is cancelled, or all its other work has ended, the listeners are removed immediately,
 * buffered events are dropped, and `next()` rejects with the reason.
 *
 * **Failure:** when an emitter emits `"error"`, the events before it are delivered first, and then `next()` rejects
 * with the error, the same object. If no `next()` has received the error when `scope` ends, it is a failure of `scope`.
 * An `EventTarget` has no such event.
 *
 * @param scope - Its end removes the listeners.
 * @param target - The source of the events.
 * @param name - The name of the event.
 * @param options - `buffer`, and `until`: the event that ends the iteration.
 * @returns An iterator over the events of an `EventTarget`, or over the lists of arguments of an `EventEmitter`'s
 * events.
 * @throws {ScopeClosedError} If `scope` has ended.
 * @throws {TypeError | RangeError} If an argument is bad. Nothing was listened to.
 * @example
 * ```ts
 * import { withScope } from "bough";
 * import { events } from "bough/streams";
 *
 * const target = new EventTarget();
 * await withScope(async (scope) => {
 *   const ticks = events(scope, target, "tick", { until: "stop" });
 *   for (const name of ["tick", "tick", "stop"]) target.dispatchEvent(new Event(name));
 *   for await (const event of ticks) console.log(event.type); // tick, tick
 * });
 * ```
 */
export function events<E extends Event = Event>(
  scope: Scope,
  target: EventTarget,
  name: string,
  options?: EventsOptions,
): AsyncIterableIterator<E>;
export function events<A extends readonly unknown[] = readonly unknown[]>(
  scope: Scope,
  target: EventEmitterLike,
  name: string | symbol,
  options?: EventsOptions,
): AsyncIterableIterator<A>;
export function events(
  scope: Scope,
  target: EventTarget | EventEmitterLike,
  name: string | symbol,
  options: EventsOptions = {},
): AsyncIterableIterator<unknown> {
  checkOptionsObject("events", options, eventsOptionNames);
  const { buffer = Infinity, until } = options;
  checkLimit("events", "buffer", buffer, 1);
  checkType("events", "until", "string", until);
  if (typeof name !== "string" && typeof name !== "symbol") {
    throw wrongType("events", "name must be a string or a symbol", name);
  }
  const iterator = new EventIterator(buffer);
  const source = sourceOf(target);
  iterator.attach(scope, callSite(events), (add) => {
    add(source, name, (...values) => iterator.push(source.single ? values[0] : values));
    if (until !== undefined) add(source, until, () => iterator.end(undefined));
    if (!source.single && name !== "error") add(source, "error", (error) => iterator.end({ error }));
  });
  return iterator;
}

/** An object that is both counts as an emitter, as in `events.on` of Node. */
function sourceOf(target: unknown): AnyEmitter {
  if (hasMethods(target, "on", "off")) {
    const emitter = target as EventEmitterLike;
    return {
      single: false,
      add: (name, listener) => void emitter.on(name, listener),
      remove: (name, listener) => void emitter.off(name, listener),
    };
  }
  if (hasMethods(target, "addEventListener", "removeEventListener")) {
    const events = target as EventTarget;
    return {
      single: true,
      add: (name, listener) => events.addEventListener(String(name), listener),
      remove: (name, listener) => events.removeEventListener(String(name), listener),
    };
  }
  throw wrongType("events", "target must be an EventTarget or an EventEmitter", target);
}
