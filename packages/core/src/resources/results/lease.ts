import type { ProcessHold } from "../../kernel/process-hold.js";
import { GivenObjects } from "./given.js";

/**
 * Converts a value that an inner object returns: see `toCaller`. `args` are the arguments of the call that returned
 * it. Without them it is the value of a field of a result.
 */
export type Convert = (lease: Lease, value: unknown, args?: readonly unknown[]) => unknown;

/** The results of the methods of a handle. It does not refer to the handle, and keeps no result alive. */
export class Results {
  /** Key: a result. Value: its facade, so that a caller gets the same facade for the same result. */
  readonly facades: WeakMap<object, WeakRef<object>> = new WeakMap();
  /** Key: a promise of the inner object. Value: the promise that the caller got for it. */
  readonly promises: WeakMap<object, object> = new WeakMap();
  readonly fromCaller: GivenObjects = new GivenObjects();

  /** The facade of `subject`. `make` is called only if no facade is alive. */
  facadeOf(subject: object, make: () => object): object {
    const known = this.facades.get(subject)?.deref();
    if (known !== undefined) return known;
    const facade = make();
    this.facades.set(subject, new WeakRef(facade));
    return facade;
  }
}

/**
 * A reference to a handle that can be released. A result in use holds a lease, and so the handle. When the result was
 * read to its end, closed or unsubscribed, the lease releases the handle, although the result itself may stay alive.
 *
 * The inner object must reach a lease only through something that the caller left there and that is removed at the
 * end: a listener, or the reaction of a pending promise.
 */
export class Lease {
  readonly inner: object;
  readonly results: Results;
  readonly convert: Convert;
  /** For a scope whose timers don't keep the process alive: keeps it alive while a result is waited for. */
  readonly process: ProcessHold | undefined;
  /** Called once, at its end. */
  onEnd: (() => void) | undefined;
  #isUsed = false;
  #acquired = 0;
  #held: object | undefined;
  #last: WeakRef<object> | undefined;

  constructor(
    handle: object,
    inner: object,
    results: Results,
    convert: Convert,
    process: ProcessHold | undefined,
  ) {
    this.#held = handle;
    this.inner = inner;
    this.results = results;
    this.convert = convert;
    this.process = process;
  }

  /** The handle, if it is still there. */
  get handle(): object | undefined {
    return this.#held ?? this.#last?.deref();
  }

  /** One for a result that ends by itself. */
  derive(): Lease {
    const { handle, inner, results, convert, process } = this;
    const lease = new Lease(handle ?? inner, inner, results, convert, process);
    if (handle === undefined) lease.#held = undefined;
    return lease;
  }

  /** It is waited for until it ends. */
  use(): void {
    if (this.#isUsed) return;
    this.#isUsed = true;
    this.acquire();
  }

  /** Keeps the process alive until `release`, at most until it ends. */
  acquire(): void {
    if (this.process === undefined || this.#held === undefined) return;
    this.#acquired += 1;
    this.process.acquire();
  }

  release(): void {
    if (this.#acquired === 0) return;
    this.#acquired -= 1;
    this.process?.release();
  }

  end(): void {
    while (this.#acquired > 0) this.release();
    if (this.#held === undefined) return;
    this.#last = new WeakRef(this.#held);
    this.#held = undefined;
    this.onEnd?.();
    this.onEnd = undefined;
  }
}

/** The values that each key keeps alive. */
const held = new WeakMap<object, object>();

/** Makes `key` keep `value` alive. Returns whether it did not before. */
export function hold(key: object, value: object): boolean {
  const known = held.get(key);
  if (known === value || (known instanceof Bundle && known.has(value))) return false;
  if (known === undefined) held.set(key, value);
  else if (known instanceof Bundle) known.add(value);
  else held.set(key, new Bundle([known, value]));
  return true;
}

export function release(key: object, value: object): void {
  const known = held.get(key);
  if (known instanceof Bundle) known.delete(value);
  else if (known === value) held.delete(key);
}

class Bundle extends Set<object> {}
