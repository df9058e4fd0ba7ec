import { isObject, isObjectLike } from "../../errors/user-values.js";
import type { AnyFunction } from "./function-wrappers.js";
import { Facade } from "./facades.js";
import { toInner } from "./arguments.js";
import type { HandleRef } from "./handle-ref.js";
import { HandleObject } from "../handle/handle-object.js";
import { holdUntilClosed } from "./platform-objects.js";
import { addWeakly, type WeakLists } from "./weak-lists.js";

/** The methods that add a listener, their second argument. */
const addMethods = new Set<PropertyKey>([
  "on",
  "once",
  "addListener",
  "prependListener",
  "prependOnceListener",
  "addEventListener",
]);
const removeMethods = new Set<PropertyKey>(["off", "removeListener", "removeEventListener"]);

/**
 * Methods with which Node's streams register listeners on themselves and on other streams. They must run on the facade.
 */
const pipingMethods: ReadonlySet<PropertyKey> = new Set<PropertyKey>([
  "pipe",
  "unpipe",
  "iterator",
  "compose",
  "map",
  "filter",
  "forEach",
  "toArray",
  "some",
  "find",
  "every",
  "flatMap",
  "drop",
  "take",
  "reduce",
  "asIndexedPairs",
  Symbol.asyncIterator,
]);

type Listener = AnyFunction & { listener?: AnyFunction };

/**
 * The references of a registered listener: to the caller's listener, and through the facade to the handle. Cleared on
 * an abort.
 */
interface Link {
  facade: EmitterFacade | undefined;
  /** What the inner object gets. */
  readonly registered: Listener;
  /** How many times it is registered. */
  registrations: number;
}

interface StreamState {
  readonly autoDestroy?: boolean;
  readonly emitClose?: boolean;
}

interface EmitterLike {
  readonly readable?: boolean;
  readonly writable?: boolean;
  readonly _readableState?: StreamState;
  readonly _writableState?: StreamState;
  readonly setHeader?: unknown;
  on?: (event: string, listener: () => void) => unknown;
  addEventListener?: (event: string, listener: () => void) => unknown;
}

/**
 * An emitter, a Node stream, an event target. The inner object reaches the listeners. A listener that was added through
 * the facade reaches the handle, and so does a stream that was piped to. This ends when the listener is removed, or for
 * all listeners when the emitter emits `close` or has ended.
 */
export class EmitterFacade extends Facade {
  /** By listener of the caller. */
  readonly #links = new WeakMap<object, Link>();

  constructor(subject: object, ref: HandleRef) {
    super(subject, ref);
    watchEnd(subject, new WeakRef(ref));
  }

  override set(target: object, key: PropertyKey, value: unknown): boolean {
    const isHandler = typeof value === "function" && isHandlerName(key);
    return super.set(target, key, isHandler ? createLink(this, value).registered : value);
  }

  override get(target: object, key: PropertyKey): unknown {
    const value = super.get(target, key);
    return typeof value === "function" && isHandlerName(key)
      ? unwrap(Reflect.get(this.subject, key) as AnyFunction, value)
      : value;
  }

  /**
   * Converts streams and promises in fields, as of a child process. Not fields whose name begins with `_`, which Node's
   * helpers use.
   */
  protected override field(key: PropertyKey, value: unknown): unknown {
    const { subject, ref } = this;
    const isForeign = isObjectLike(value) && value !== subject && value !== ref.inner;
    const isInternal = typeof key !== "string" || key.startsWith("_");
    if (isForeign && (isInternal || !(value instanceof Promise || isEmitter(value)))) return value;
    return super.field(key, value);
  }

  protected override call(key: PropertyKey, own: AnyFunction, self: unknown, args: unknown[]): unknown {
    if (self !== this.proxy) return super.call(key, own, self, args);
    if (pipingMethods.has(key) && isNodeStreamMethod(this.subject, key)) {
      this.ref.holdProcessUntilEnd();
      for (const value of args) toInner(this.ref, value); // recognised as the caller's own if it is returned
      const result: unknown = Reflect.apply(own, self, args);
      return result === self ? result : this.returned(key, result, args);
    }
    if (addMethods.has(key) && (args[0] === "data" || args[0] === "readable")) this.ref.holdProcessUntilEnd();
    if (addMethods.has(key)) args[1] = this.#registeredFor(args[1], true, args[2]);
    else if (removeMethods.has(key)) args[1] = this.#registeredFor(args[1], false);
    else if ((key === "write" || key === "end") && isNodeStreamMethod(this.subject, key))
      this.#holdUntilWritten(args);
    if (key === "listeners" || key === "rawListeners") {
      const listed: unknown = Reflect.apply(own, this.subject, args);
      if (Array.isArray(listed)) return listed.map((listener: AnyFunction) => unwrap(listener, listener));
    }
    return super.call(key, own, self, args);
  }

  #registeredFor(listener: unknown, add: boolean, options?: unknown): unknown {
    if (!isObject(listener)) return listener;
    let link = this.#links.get(listener);
    if (link?.facade === undefined) {
      if (!add) return listener;
      const call =
        typeof listener === "function"
          ? listener
          : (event: Event) => (listener as EventListenerObject).handleEvent(event);
      link = createLink(this, call);
      this.#links.set(listener, link);
    }
    link.registrations += add ? 1 : -1;
    if (add) removeOnAbort(options, link);
    return link.registered;
  }

  /** Holds the handle until the written data has been consumed. */
  #holdUntilWritten(args: unknown[]): void {
    const callback = args.at(-1);
    if (callback === undefined || typeof callback === "function") args.pop();
    const { proxy, ref } = this;
    let waits = true; // a stream may call back twice
    ref.acquire();
    const done = (...results: unknown[]): void => {
      if (waits) ref.release();
      waits = false;
      if (typeof callback === "function") Reflect.apply(callback, proxy, results);
    };
    args.push(done);
  }
}

/**
 * Wraps a listener as `once` does, so that Node's own `off` and `listeners` find the original. A separate function, so
 * that the closure reaches only the link.
 */
function createLink(from: EmitterFacade, original: AnyFunction): Link {
  const registered: Listener = function (this: unknown, ...args: unknown[]): unknown {
    const { facade } = link;
    const { listener } = registered;
    if (facade === undefined || listener === undefined) return undefined;
    const { subject, ref, proxy } = facade;
    const shown = args.map((value) => {
      if (value === subject) return proxy;
      if (isObjectLike(value) && isEmitter(value)) holdEmitted(ref, value);
      return value === ref.inner ? (ref.handle ?? value) : value;
    });
    return Reflect.apply(listener, this === subject ? proxy : this, shown) as unknown;
  };
  registered.listener = original;
  const link: Link = { facade: from, registered, registrations: 0 };
  return link;
}

/** A response, a connection: it may still deliver when the emitter that it came from is not used any more. */
function holdEmitted({ handle, inner, results }: HandleRef, value: object): void {
  if (handle === undefined || value === inner || value === handle || results.fromCaller.has(value)) return;
  holdUntilClosed(HandleObject.refOf(handle as HandleObject), value);
}

/** The abort signal in the options of a call. */
export function signalOf(options: unknown): AbortSignal | undefined {
  const signal: unknown = isObject(options) ? Reflect.get(options, "signal") : undefined;
  return signal instanceof AbortSignal ? signal : undefined;
}

/** The registrations that end with a signal. */
const linksBySignal: WeakLists<Link> = new WeakMap();

/**
 * An event target removes a listener when its signal is aborted. Node still keeps that listener reachable from the
 * target, so its references are cleared.
 */
function removeOnAbort(options: unknown, link: Link): void {
  const signal = signalOf(options);
  if (signal === undefined) return;
  if (signal.aborted) return endRegistration(link);
  // Once per signal, which may live as long as the program.
  const added = addWeakly(linksBySignal, signal, new WeakRef(link));
  if (added !== undefined) signal.addEventListener("abort", () => endAll(added), { once: true });
}

/** Ends a registration whose signal was aborted. */
function endRegistration(link: Link): void {
  link.registrations -= 1;
  if (link.registrations > 0) return;
  delete link.registered.listener;
  link.facade = undefined;
}

function endAll(links: ReadonlySet<WeakRef<Link>>): void {
  for (const known of links) {
    const link = known.deref();
    if (link !== undefined) endRegistration(link);
  }
}

interface EventListenerObject {
  handleEvent(event: Event): unknown;
}

function unwrap(listener: Listener, otherwise: AnyFunction): AnyFunction {
  return listener.listener ?? otherwise;
}

/** Whether a field contains a listener, as `onclick` does. */
function isHandlerName(key: PropertyKey): boolean {
  return /^on[a-z]/.test(String(key));
}

/** Whether a value is an emitter of Node or an event target. */
export function isEmitter(value: object): boolean {
  const { on, emit, off, removeListener, addEventListener, removeEventListener } = value as Record<
    string,
    unknown
  >;
  if (typeof on === "function" && typeof (off ?? removeListener) === "function")
    return typeof emit === "function";
  return typeof addEventListener === "function" && typeof removeEventListener === "function";
}

/** Whether the method is one of Node's streams (or of their copy on npm), and not an override. */
function isNodeStreamMethod(subject: object, key: PropertyKey): boolean {
  for (let at: object | null = subject; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    if (Object.hasOwn(at, key)) return Object.hasOwn(at, "setEncoding") || Object.hasOwn(at, "cork");
  }
  return false;
}

/**
 * Whether it emits `close` after its `end` or `finish`, and may emit something in between. For example, a request of
 * `node:http` has finished when it is sent, and emits its response later.
 */
function closesLast({ _readableState: read, _writableState: write, setHeader }: EmitterLike): boolean {
  const states = [read, write].filter((state) => state !== undefined);
  if (states.length === 0) return typeof setHeader === "function";
  return states.every((state) => state.autoDestroy === true && state.emitClose === true);
}

/** The references that end with an emitter. */
const refsByEmitter: WeakLists<HandleRef> = new WeakMap();

/** The listener reaches no reference: the inner object may keep the emitter. */
function watchEnd(subject: EmitterLike, ref: WeakRef<HandleRef>): void {
  const refs = addWeakly(refsByEmitter, subject, ref);
  if (refs === undefined) return;
  const end = (): void => {
    for (const known of refs) known.deref()?.end();
    refs.clear();
  };
  try {
    if (typeof subject.on !== "function") {
      subject.addEventListener?.("close", end);
      return;
    }
    subject.on("close", end);
    if (closesLast(subject)) return;
    // A stream that is still written to or read from needs its handle.
    if (subject.writable !== true) subject.on("end", end);
    else if (subject.readable !== true) subject.on("finish", end);
  } catch {
    // It has no such event.
  }
}
