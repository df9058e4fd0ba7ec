import { detached } from "../errors/detach-stack.js";

/**
 * What leaves an inner object through its handle: the inner object itself becomes the handle, and a promise or
 * an iterator one that holds the handle while it is pending. Anything else stays what it is.
 */
export function outgoing(handle: object, inner: object, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value === inner) return handle;
  if (value instanceof Promise && value.constructor === Promise) return pinned(handle, inner, value);
  if (typeof member(value, "then") === "function") return seeThrough(handle, inner, value);
  if (typeof member(value, "next") !== "function") return value;
  if (Symbol.asyncIterator in value)
    return new AsyncSteps(handle, inner, value as object as AsyncIterator<unknown>);
  return Symbol.iterator in value ? new Steps(handle, inner, value as object as Iterator<unknown>) : value;
}

/** Whoever can settle `promise` reaches its reactions, and through them the handle, until it is settled. */
function pinned(
  handle: object,
  inner: object,
  promise: Promise<unknown>,
  convert: typeof outgoing = outgoing,
): Promise<unknown> {
  return promise.then(
    (value) => convert(handle, inner, value),
    (error: unknown) => {
      throw detached(error);
    },
  );
}

/**
 * A thenable that is more than a promise: a task with its `cancel`, a query that runs when it is awaited. It
 * stays that, and its reactions hold the handle.
 */
function seeThrough(handle: object, inner: object, thenable: object): object {
  return new Proxy(changeable(thenable), {
    set: (_, key, value) => Reflect.set(thenable, key, value),
    get(_, key) {
      const member: unknown = Reflect.get(thenable, key);
      if (typeof member !== "function") return member;
      if (key !== "then" && key !== "catch" && key !== "finally") return member.bind(thenable) as unknown;
      return (...reactions: readonly unknown[]) => {
        if (key === "then" && typeof reactions[0] !== "function")
          reactions = [(value: unknown) => value, reactions[1]];
        const holding = reactions.map((reaction) =>
          typeof reaction === "function"
            ? (...args: readonly unknown[]) =>
                Reflect.apply(
                  reaction,
                  undefined,
                  args.map((value) => outgoing(handle, inner, value)),
                ) as unknown
            : reaction,
        );
        return Reflect.apply(member, thenable, holding) as unknown;
      };
    },
  });
}

/** A proxy has to show as they are the members that its target can't change, so a frozen one needs a stand-in. */
function changeable(thenable: object): object {
  const members = Object.getOwnPropertyDescriptors(thenable) as Record<PropertyKey, PropertyDescriptor>;
  const made = Reflect.ownKeys(members).map((key) => members[key] as PropertyDescriptor);
  if (made.every((descriptor) => descriptor.configurable)) return thenable;
  for (const descriptor of made) descriptor.configurable = true;
  return Object.create(Object.getPrototypeOf(thenable) as object | null, members) as object;
}

/** Somebody's object may have a getter, or a proxy, that throws: it is a plain value then. */
function member(value: object, key: "then" | "next"): unknown {
  try {
    return Reflect.get(value, key);
  } catch {
    return undefined;
  }
}

function stepOf(handle: object, inner: object, step: unknown): unknown {
  const result = step as IteratorResult<unknown>;
  return result.value === inner ? { done: result.done, value: handle } : step;
}

/** An iterator of the inner object's, as the holder of the handle sees it. */
class Steps {
  readonly #handle: object;
  readonly #inner: object;
  readonly #source: Iterator<unknown>;

  constructor(handle: object, inner: object, source: Iterator<unknown>) {
    this.#handle = handle;
    this.#inner = inner;
    this.#source = source;
  }

  next(...args: [] | [unknown]): unknown {
    return this.#step(() => this.#source.next(...args));
  }

  return(value?: unknown): unknown {
    return this.#step(() => this.#source.return?.(value) ?? { done: true, value });
  }

  throw(error?: unknown): unknown {
    return this.#step(() => {
      if (this.#source.throw === undefined) throw error;
      return this.#source.throw(error);
    });
  }

  #step(advance: () => unknown): unknown {
    try {
      return stepOf(this.#handle, this.#inner, advance());
    } catch (error) {
      throw detached(error);
    }
  }

  static {
    // Brings Symbol.iterator and, where the platform has them, `map`, `filter` and disposal.
    Object.setPrototypeOf(this.prototype, prototypeAbove([][Symbol.iterator]()));
  }
}

/** As {@link Steps}; a pending `next()` pins the handle as any promise does. */
class AsyncSteps {
  readonly #handle: object;
  readonly #inner: object;
  readonly #source: AsyncIterator<unknown>;

  constructor(handle: object, inner: object, source: AsyncIterator<unknown>) {
    this.#handle = handle;
    this.#inner = inner;
    this.#source = source;
  }

  next(...args: [] | [unknown]): Promise<unknown> {
    return this.#step(this.#source.next(...args));
  }

  return(value?: unknown): Promise<unknown> {
    return this.#step(this.#source.return?.(value) ?? Promise.resolve({ done: true, value }));
  }

  throw(error?: unknown): Promise<unknown> {
    return this.#step(this.#source.throw?.(error) ?? Promise.reject(error));
  }

  #step(step: Promise<unknown>): Promise<unknown> {
    return pinned(this.#handle, this.#inner, Promise.resolve(step), stepOf);
  }

  static {
    // eslint-disable-next-line @typescript-eslint/no-empty-function -- only its prototype is wanted
    const generator = (async function* (): AsyncGenerator {})();
    Object.setPrototypeOf(this.prototype, prototypeAbove(Object.getPrototypeOf(generator) as object));
  }
}

/** The prototype that all iterators of a kind share: `%IteratorPrototype%`, `%AsyncIteratorPrototype%`. */
function prototypeAbove(iterator: object): object {
  return Object.getPrototypeOf(Object.getPrototypeOf(iterator)) as object;
}
