import type { ProcessHold } from "../../kernel/process-hold.js";
import { CallerObjects } from "./caller-objects.js";

/**
 * Converts a value that an inner object returns: see `toCaller`. `args` are the arguments of the call. They are absent
 * for the field of a result.
 */
export type Convert = (ref: HandleRef, value: unknown, args?: readonly unknown[]) => unknown;

/** The results of the methods of a handle. It does not refer to the handle, and keeps no result alive. */
export class Results {
  /** The facades by result, so that a caller gets the same facade for the same result. */
  readonly facades: WeakMap<object, WeakRef<object>> = new WeakMap();
  /** The promises of callers, by promise of the inner object, for those that can't be marked (see `promises.ts`). */
  readonly promises: WeakMap<object, Promise<unknown>> = new WeakMap();
  readonly fromCaller: CallerObjects = new CallerObjects();

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
 * A reference from a result to its handle: strong until `end()`, weak after it. So a result in use keeps the handle
 * alive. The reference ends when the result has been read to its end, closed or unsubscribed, even if the result itself
 * stays alive.
 *
 * The inner object may reach a reference only through an object of the caller that is removed at that end. Examples are a
 * listener, and the reaction of a pending promise.
 */
export class HandleRef {
  readonly inner: object;
  readonly results: Results;
  readonly convert: Convert;
  /** Keeps the process alive while a caller waits for a result, if the timers of the scope do not. */
  readonly process: ProcessHold | undefined;
  /** Called once, at the end of the reference. */
  onEnd: (() => void) | undefined = undefined;
  #holdsProcess = false;
  #acquired = 0;
  #strongHandle: object | undefined;
  #weakHandle: WeakRef<object> | undefined;

  constructor(
    handle: object | undefined,
    inner: object,
    results: Results,
    convert: Convert,
    process: ProcessHold | undefined,
  ) {
    this.#strongHandle = handle;
    this.inner = inner;
    this.results = results;
    this.convert = convert;
    this.process = process;
  }

  /** The handle, unless it has been collected. */
  get handle(): object | undefined {
    return this.#strongHandle ?? this.#weakHandle?.deref();
  }

  /** A further reference for a result that ends separately. */
  derive(): HandleRef {
    const { handle, inner, results, convert, process } = this;
    return new HandleRef(handle, inner, results, convert, process);
  }

  /** Keeps the process alive until the reference ends. */
  holdProcessUntilEnd(): void {
    if (this.#holdsProcess) return;
    this.#holdsProcess = true;
    this.acquire();
  }

  /** Keeps the process alive until `release()`, or the end of the reference. */
  acquire(): void {
    if (this.process === undefined || this.#strongHandle === undefined) return;
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
    if (this.#strongHandle === undefined) return;
    this.#weakHandle = new WeakRef(this.#strongHandle);
    this.#strongHandle = undefined;
    this.onEnd?.();
    this.onEnd = undefined;
  }
}

/** The values that each key keeps alive. */
const heldValues = new WeakMap<object, object>();

/** Makes `key` keep `value` alive. Returns whether it did not before. */
export function hold(key: object, value: object): boolean {
  const known = heldValues.get(key);
  if (known === value || (known instanceof HeldValues && known.has(value))) return false;
  if (known === undefined) heldValues.set(key, value);
  else if (known instanceof HeldValues) known.add(value);
  else heldValues.set(key, new HeldValues([known, value]));
  return true;
}

export function release(key: object, value: object): void {
  const known = heldValues.get(key);
  if (known instanceof HeldValues) known.delete(value);
  else if (known === value) heldValues.delete(key);
}

export function releaseAll(key: object): void {
  heldValues.delete(key);
}

class HeldValues extends Set<object> {}
