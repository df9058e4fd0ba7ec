import { isObject, isObjectLike } from "../../errors/user-values.js";
import { detached } from "../../errors/detach-stack.js";
import { setSubject } from "../../kernel/object-marks.js";
import { isConstructor, wrapFunction, type AnyFunction } from "./function-wrappers.js";
import { convertArguments, toInner } from "./arguments.js";
import type { HandleRef } from "./handle-ref.js";
import { holdUntilSettled } from "./promises.js";

interface Member {
  readonly own: AnyFunction;
  readonly shown: AnyFunction;
}

/**
 * A facade replaces a result that can still deliver values or call the inner object. It looks like the result, calls
 * its methods on the result, and holds the handle. The inner object may keep the result itself, so the two must be
 * different objects.
 */
export class Facade implements ProxyHandler<object> {
  readonly subject: object;
  readonly ref: HandleRef;
  /** The facade. */
  readonly proxy: object;
  readonly #members = new Map<PropertyKey, Member>();

  constructor(subject: object, ref: HandleRef) {
    this.subject = subject;
    this.ref = ref;
    this.proxy = new Proxy(proxyTarget(subject), this);
    setSubject(this.proxy, subject);
  }

  get(_target: object, key: PropertyKey): unknown {
    let value: unknown;
    try {
      value = Reflect.get(this.subject, key, this.subject);
    } catch (error) {
      throw detached(error);
    }
    if (typeof value !== "function") return this.field(key, value);
    if (key === "constructor" || isConstructor(value)) return value;
    const known = this.#members.get(key);
    if (known?.own === value) return known.shown;
    if (this.ref.results.fromCaller.has(value) && Object.hasOwn(this.subject, key)) return value;
    const shown = this.method(key, value);
    this.#members.set(key, { own: value, shown });
    return shown;
  }

  set(_target: object, key: PropertyKey, value: unknown): boolean {
    return Reflect.set(this.subject, key, toInner(this.ref, value), this.subject);
  }

  /** The value of a field or a getter. Reading it must not let an inner object hold the handle. */
  protected field(_key: PropertyKey, value: unknown): unknown {
    if (value === this.subject) return this.proxy;
    return value === this.ref.inner ? (this.ref.handle ?? value) : this.ref.convert(this.ref, value);
  }

  protected method(key: PropertyKey, own: AnyFunction): AnyFunction {
    return wrapFunction(own, (self, args) => this.call(key, own, self, args));
  }

  /** `self` is another object for a method that was taken off, as in `const { open } = handle.tools()`. */
  protected call(key: PropertyKey, own: AnyFunction, self: unknown, args: unknown[]): unknown {
    const receiver = self === this.proxy ? this.subject : self;
    let result: unknown;
    try {
      result = Reflect.apply(own, receiver, convertArguments(this.ref, args));
    } catch (error) {
      this.threw(key);
      throw detached(error);
    }
    if (result === receiver) return self;
    return result === this.subject ? this.proxy : this.returned(key, result, args);
  }

  protected returned(_key: PropertyKey, result: unknown, args: readonly unknown[]): unknown {
    return this.ref.convert(this.ref, result, args);
  }

  protected threw(_key: PropertyKey): void {
    // Only an iterator ends when it returns its last result.
  }
}

/** A thenable with further members: a task with `cancel`, or a query that runs when it is awaited. */
export class ThenableFacade extends Facade {
  readonly #endsOnce: boolean;

  constructor(subject: object, ref: HandleRef, endsOnce: boolean) {
    super(subject, ref);
    this.#endsOnce = endsOnce;
  }

  /** Fields with a symbol as their key identify promises and tasks, and are not converted. */
  protected override field(key: PropertyKey, value: unknown): unknown {
    return typeof key === "string" || value === this.subject ? super.field(key, value) : value;
  }

  protected override call(key: PropertyKey, own: AnyFunction, self: unknown, args: unknown[]): unknown {
    if (key !== "then" && key !== "catch" && key !== "finally") return super.call(key, own, self, args);
    if (self !== this.proxy) return Reflect.apply(own, self, args) as unknown;
    return Reflect.apply(own, this.subject, this.#reactions(key, args)) as unknown;
  }

  /** The caller's reactions, which hold the handle until the thenable has settled. Those of `then` also hold the process. */
  #reactions(key: "then" | "catch" | "finally", args: readonly unknown[]): unknown[] {
    const reactions = [...args];
    let waits = key === "then";
    if (waits) {
      if (typeof reactions[0] !== "function") reactions[0] = (value: unknown) => value;
      if (typeof reactions[1] !== "function") reactions[1] = rethrow;
      this.ref.process?.acquire();
    }
    const settled = (): void => {
      if (waits) this.ref.process?.release();
      waits = false; // a thenable that is not a promise may call back twice
    };
    return reactions.map((reaction, index) =>
      typeof reaction === "function"
        ? this.#wrapReaction(reaction, settled, key === "catch" || index === 1)
        : reaction,
    );
  }

  #wrapReaction(
    reaction: AnyFunction,
    settled: () => void,
    failed: boolean,
  ): (...values: unknown[]) => unknown {
    return (...values) => {
      const { ref } = this;
      settled();
      const shown = values.map((value) => (failed ? detached(value) : ref.convert(ref, value, [])));
      if (this.#endsOnce) ref.end();
      return Reflect.apply(reaction, undefined, shown) as unknown;
    };
  }
}

function rethrow(error: unknown): never {
  throw error;
}

/** The methods that close a cursor. */
const closingMethods = new Set<PropertyKey>([
  "close",
  "destroy",
  "dispose",
  Symbol.dispose,
  Symbol.asyncDispose,
]);

/** A cursor, a generator, an iterator helper. It releases the handle when it is done, has failed, or was closed. */
export class IteratorFacade extends Facade {
  protected override returned(key: PropertyKey, result: unknown, args: readonly unknown[]): unknown {
    if (closingMethods.has(key)) return this.#closed(super.returned(key, result, args));
    if (key !== "next" && key !== "return" && key !== "throw") return super.returned(key, result, args);
    if (!isObjectLike(result)) return result;
    if (typeof (result as { then?: unknown }).then !== "function") return this.#step(result);
    return holdUntilSettled(
      this.ref,
      result as PromiseLike<unknown>,
      (step) => this.#step(step),
      () => this.ref.end(),
    );
  }

  protected override threw(key: PropertyKey): void {
    if (key === "next" || key === "throw") this.ref.end();
  }

  #closed(result: unknown): unknown {
    const end = (): void => this.ref.end();
    if (result instanceof Promise) void result.then(end, end);
    else end();
    return result;
  }

  #step(step: unknown): unknown {
    if (!isObjectLike(step)) return step;
    const { done, value } = step as IteratorResult<unknown>;
    const converted = this.ref.convert(this.ref, value, []);
    if (done === true) this.ref.end();
    return converted === value ? step : { done, value: converted };
  }
}

/** The methods that end a subscription. */
export const endingMethods: ReadonlySet<PropertyKey> = new Set([
  "unsubscribe",
  "dispose",
  "cancel",
  "close",
  "stop",
  "off",
  "remove",
  Symbol.dispose,
  Symbol.asyncDispose,
]);

/** A subscription that can be ended. Its callbacks hold the handle, even if the subscription itself is dropped. */
export class SubscriptionFacade extends Facade {
  protected override returned(key: PropertyKey, result: unknown, args: readonly unknown[]): unknown {
    const converted = super.returned(key, result, args);
    if (endingMethods.has(key)) this.ref.end();
    return converted;
  }
}

/** A `Map` or a `Set` with such results in it. */
export class MapFacade extends Facade {
  protected override call(key: PropertyKey, own: AnyFunction, self: unknown, args: unknown[]): unknown {
    const [callback] = args;
    if (key !== "forEach" || self !== this.proxy || typeof callback !== "function")
      return super.call(key, own, self, args);
    const { ref, proxy, subject } = this;
    const visit = (...members: unknown[]): void => {
      const shown = members.map((value) => (value === subject ? proxy : ref.convert(ref, value, [])));
      Reflect.apply(callback, args[1], shown);
    };
    return Reflect.apply(own, subject, [visit]) as unknown;
  }
}

/** An array or a literal with such results in it. */
export class ContainerFacade extends Facade {
  protected override field(key: PropertyKey, value: unknown): unknown {
    if (value === this.subject || value === this.ref.inner) return super.field(key, value);
    return this.ref.convert(this.ref, value, []);
  }

  /** The built-in methods of arrays and objects read from `this`, so their `this` has to be the facade. */
  protected override method(key: PropertyKey, own: AnyFunction): AnyFunction {
    return Object.hasOwn(this.subject, key) ? super.method(key, own) : own;
  }
}

/**
 * Returns the target of a proxy. A proxy must not change non-configurable members of its target, so such a target is
 * replaced.
 */
function proxyTarget(subject: object): object {
  const members = Object.getOwnPropertyDescriptors(subject) as Record<PropertyKey, PropertyDescriptor>;
  const made = Reflect.ownKeys(members).map((key) => members[key] as PropertyDescriptor);
  if (!made.some(isFixed)) return subject;
  if (Array.isArray(subject)) return [...(subject as unknown[])];
  for (const descriptor of made) descriptor.configurable = true;
  return Object.create(Object.getPrototypeOf(subject) as object | null, members) as object;
}

function isFixed({ configurable, writable, value }: PropertyDescriptor): boolean {
  return configurable === false && writable !== true && isObject(value);
}
