/* oxlint-disable typescript/unbound-method -- taking a method off its handle is what is tested */
import { inspect } from "node:util";
import { describe, expect, expectTypeOf, it, vi } from "vitest";
import {
  background,
  CancelledError,
  close,
  isCancelled,
  select,
  selfCleaning,
  sleep,
  spawn,
  StuckTasksError,
  withScope,
  type Scope,
  type SelfCleaning,
  type Task,
} from "../index.js";

const TAG = Symbol("tag");

class Base {
  protected log: string[] = [];
  overridden(): string {
    return "base";
  }
  inherited(): string[] {
    this.log.push(this.overridden());
    return this.log;
  }
}

class Thing extends Base {
  static readonly LIMIT = 7;
  declare readonly VERSION: string;
  #secret = 1;
  count = 0;
  added?: string;
  last: Error | undefined;
  readonly self: object = this;

  get secret(): number {
    return this.#secret;
  }
  set secret(value: number) {
    this.#secret = value;
  }
  get me(): this {
    return this;
  }
  get readOnly(): string {
    return "r";
  }
  get run(): () => number {
    return this.increase;
  }
  increase(by = 1): number {
    return (this.#secret += by);
  }
  override overridden(): string {
    return `thing ${this.#secret}`;
  }
  fluent(): this {
    return this;
  }
  arguments(...args: unknown[]): unknown[] {
    return args;
  }
  fail(error: unknown): never {
    throw error;
  }
  addLater(): void {
    this.added = "later";
  }
  [TAG](): number {
    return this.#secret;
  }
  *numbers(): Generator<unknown, string, unknown> {
    const sent = yield this.#secret;
    yield this;
    return `sent ${String(sent)}`;
  }
  async *later(): AsyncGenerator<unknown, string, unknown> {
    yield this.#secret;
    yield this;
    return "end";
  }
  async resolvesSelf(): Promise<this> {
    await Promise.resolve();
    return this;
  }
  async rejects(error: unknown): Promise<never> {
    await Promise.resolve();
    throw error;
  }
  is(other: object): boolean {
    return this === other;
  }
  override toString(): string {
    return `Thing(${this.#secret})`;
  }
}
Object.defineProperty(Thing.prototype, "VERSION", { value: "1.2", configurable: true });

function make(): { handle: SelfCleaning<Thing>; inner: Thing; scope: Scope } {
  let inner!: Thing;
  let scope!: Scope;
  const handle = selfCleaning(
    (view) => {
      scope = view;
      return (inner = new Thing());
    },
    { onOrphan: "ignore" },
  );
  return { handle, inner, scope };
}

const never = (scope: Scope): Promise<void> => sleep(scope, Infinity);

describe("selfCleaning(): the shape of the handle", () => {
  it("runs a method with this = the inner object, private fields included", () => {
    const { handle, inner } = make();
    expect(handle.increase(2)).toBe(3);
    expect(inner.secret).toBe(3);
    expect(handle.is(inner)).toBe(true);
    expect(handle).not.toBe(inner);
  });

  it("passes on the same arguments, and the same number of them", () => {
    const { handle } = make();
    expect(handle.arguments()).toEqual([]);
    expect(handle.arguments(1, undefined)).toEqual([1, undefined]);
    expect(handle.increase.length).toBe(0);
    expect(handle.increase.name).toBe("increase");
  });

  it("forwards getters and setters", () => {
    const { handle, inner } = make();
    handle.secret = 9;
    expect(inner.secret).toBe(9);
    expect(handle.secret).toBe(9);
    expect(() => ((handle as { readOnly: string }).readOnly = "x")).toThrow(TypeError);
  });

  it("forwards own fields both ways, and shows them as own", () => {
    const { handle, inner } = make();
    handle.count = 5;
    expect(inner.count).toBe(5);
    inner.count = 6;
    expect(handle.count).toBe(6);
    expect(Object.keys(handle)).toEqual(Object.keys(inner));
    expect("count" in handle && Object.hasOwn(handle, "count")).toBe(true);
  });

  it("forwards fields that come later, from either side", () => {
    const { handle, inner } = make();
    handle.addLater();
    expect(handle.added).toBe("later");
    const loose = handle as unknown as Record<string, unknown>;
    loose["fresh"] = 1;
    expect((inner as unknown as Record<string, unknown>)["fresh"]).toBe(1);
    expect(loose["fresh"]).toBe(1);
    expect(Object.keys(handle)).toContain("fresh");
  });

  it("does not forward the deletion of a field, which accessors can't detect", () => {
    type Fields = Record<string, unknown>;
    const { handle, inner } = make();
    const [outside, inside] = [handle, inner] as unknown as [Fields, Fields];
    Object.assign(inside, { one: 1, two: 2 });
    expect([outside["one"], outside["two"]]).toEqual([1, 2]);
    delete outside["one"];
    delete inside["two"];
    expect([outside["one"], outside["two"]]).toEqual([1, undefined]);
    expect("two" in outside).toBe(true);
  });

  it("forwards methods that the class gets later", () => {
    const { handle } = make();
    try {
      Object.defineProperty(Thing.prototype, "patched", {
        value(this: Thing) {
          return this.secret + 1;
        },
        configurable: true,
      });
      expect((handle as unknown as { patched(): number }).patched()).toBe(2);
    } finally {
      Reflect.deleteProperty(Thing.prototype, "patched");
    }
  });

  it("is an instance of the inner object's classes, and has their constructor", () => {
    const { handle } = make();
    expect(handle).toBeInstanceOf(Thing);
    expect(handle).toBeInstanceOf(Base);
    expect(handle).not.toBeInstanceOf(CancelledError);
    expect(handle.constructor).toBe(Thing);
    expect((handle.constructor as typeof Thing).LIMIT).toBe(7);
  });

  it("shows constants of the prototype, and does not wrap classes", () => {
    class Holder {
      declare readonly Item: typeof Thing;
    }
    Object.defineProperty(Holder.prototype, "Item", { value: Thing });
    const handle = selfCleaning(() => new Holder(), { onOrphan: "ignore" });
    expect(handle.Item).toBe(Thing);
    expect(new handle.Item()).toBeInstanceOf(Thing);
    expect(make().handle.VERSION).toBe("1.2");
  });

  it("calls overriding methods, also from an inherited method", () => {
    const { handle } = make();
    expect(handle.overridden()).toBe("thing 1");
    expect(handle.inherited()).toEqual(["thing 1"]);
  });

  it("forwards symbols", () => {
    const { handle } = make();
    expect(handle[TAG]()).toBe(1);
    const map = selfCleaning(() => new Map([["a", 1]]), { onOrphan: "ignore" });
    expect([...map]).toEqual([["a", 1]]);
    expect(map.size).toBe(1);
  });

  it("returns the handle where a method returns the inner object", async () => {
    const { handle } = make();
    expect(handle.fluent()).toBe(handle);
    expect(handle.me).toBe(handle);
    expect(handle.self).toBe(handle);
    expect(await handle.resolvesSelf()).toBe(handle);
  });

  it("stores the inner object where the handle is assigned", () => {
    const { handle, inner } = make();
    const loose = handle as unknown as Record<string, unknown>;
    loose["friend"] = handle;
    expect((inner as unknown as Record<string, unknown>)["friend"]).toBe(inner);
    loose["method"] = handle.increase;
    expect((inner as unknown as Record<string, unknown>)["method"]).toBe(Thing.prototype.increase);
  });

  it("prints as the inner object", () => {
    const { handle, inner } = make();
    expect(inspect(handle)).toBe(inspect(inner));
    expect(inspect({ handle }, { depth: 0 })).toBe(inspect({ handle: inner }, { depth: 0 }));
    expect(String(handle)).toBe("Thing(1)");
    class Plain {}
    expect(Object.prototype.toString.call(selfCleaning(() => new Plain(), { onOrphan: "ignore" }))).toBe(
      "[object Object]",
    );
  });

  it("keeps a class's own inspection and JSON", () => {
    class Own {
      [inspect.custom](): string {
        return "mine";
      }
      toJSON(): string {
        return "json";
      }
    }
    const handle = selfCleaning(() => new Own(), { onOrphan: "ignore" });
    expect(inspect(handle)).toBe("mine");
    expect(JSON.stringify(handle)).toBe('"json"');
    expect(JSON.stringify(selfCleaning(() => ({ a: 1 }), { onOrphan: "ignore" }))).toBe('{"a":1}');
  });

  it("passes errors through unchanged", async () => {
    const { handle } = make();
    const error = new Error("x");
    expect(() => handle.fail(error)).toThrow(error);
    await expect(handle.rejects(error)).rejects.toBe(error);
  });

  it("accepts an object literal, whose functions remain bound to it", () => {
    const handle = selfCleaning(
      () => ({
        n: 1,
        add(by: number) {
          this.n += by;
          return this;
        },
      }),
      { onOrphan: "ignore" },
    );
    const { add } = handle;
    expect(add(2)).toBe(handle);
    expect(handle.n).toBe(3);
    expect(handle.add).toBe(add);
  });

  it("returns a function that came in through the handle unchanged", () => {
    const handle = selfCleaning(() => ({ onTick: (): string => "old" }), { onOrphan: "ignore" });
    const mine = (): string => "mine";
    handle.onTick = mine;
    expect(handle.onTick).toBe(mine);
    expect(handle.onTick()).toBe("mine");
  });

  it("runs a function that a getter returns with this = the inner object", () => {
    const { handle } = make();
    expect(handle.run()).toBe(2);
  });

  it("a method that is called without its handle behaves like the method of the inner object", () => {
    const { handle } = make();
    const { arguments: args, increase } = handle;
    expect(args(1)).toEqual([1]);
    expect(() => increase()).toThrow(TypeError);
  });

  it("shares one class among the handles of one class", () => {
    expect(Object.getPrototypeOf(make().handle)).toBe(Object.getPrototypeOf(make().handle));
  });

  it("types refuse an async build, a build that returns an array or a function, and close({})", () => {
    const refused = (): unknown[] => [
      // @ts-expect-error -- it is async
      selfCleaning(async () => new Thing()),
      // @ts-expect-error -- it returns an array
      selfCleaning(() => [1]),
      // @ts-expect-error -- it returns a function
      selfCleaning(() => (): number => 1),
      // @ts-expect-error -- that is no handle
      close({}),
      // @ts-expect-error -- nor is that
      close(new Thing()),
    ];
    expect(refused).toBeTypeOf("function");
    expectTypeOf(selfCleaning((scope) => ({ path: scope.path })).path).toEqualTypeOf<string>();
  });

  it("has the type of the inner object, and is disposable", () => {
    const { handle } = make();
    expectTypeOf(handle).toExtend<Thing & AsyncDisposable>();
    expectTypeOf(handle.count).toEqualTypeOf<number>();
  });
});

describe("selfCleaning(): iterators", () => {
  it("yields the handle for the inner object, and passes values both ways", () => {
    const { handle } = make();
    const numbers = handle.numbers();
    expect(numbers.next()).toEqual({ done: false, value: 1 });
    const second = numbers.next("hello");
    expect(second.value).toBe(handle);
    expect(numbers.next()).toEqual({ done: true, value: "sent hello" });
    expect([...handle.numbers()]).toEqual([1, handle]);
  });

  it("returns and throws into the generator", () => {
    const log: string[] = [];
    const handle = selfCleaning(
      () => ({
        *items() {
          try {
            yield 1;
            yield 2;
          } finally {
            log.push("finally");
          }
        },
      }),
      { onOrphan: "ignore" },
    );
    for (const item of handle.items()) if (item === 1) break;
    expect(log).toEqual(["finally"]);
    const error = new Error("in");
    const items = handle.items();
    items.next();
    expect(() => items.throw(error)).toThrow(error);
    expect(log).toEqual(["finally", "finally"]);
  });

  it("yields the handle from an async generator", async () => {
    const { handle } = make();
    const seen: unknown[] = [];
    for await (const item of handle.later()) seen.push(item);
    expect(seen[0]).toBe(1);
    expect(seen[1]).toBe(handle);
    expect(seen).toHaveLength(2);
    const source = handle.later();
    expect(await source.return("stop")).toEqual({ done: true, value: "stop" });
  });

  it("has return and throw if the iterator has", async () => {
    const handle = selfCleaning(
      () => ({
        sync: (): IterableIterator<number> => ({
          next: () => ({ done: false, value: 1 }),
          [Symbol.iterator]() {
            return this;
          },
        }),
        async: (): AsyncIterableIterator<number> => ({
          next: async () => ({ done: false, value: 1 }),
          [Symbol.asyncIterator]() {
            return this;
          },
        }),
      }),
      { onOrphan: "ignore" },
    );
    expect(handle.sync().return).toBeUndefined();
    expect("throw" in handle.async()).toBe(false);
    for (const n of handle.sync()) if (n === 1) break;
    for await (const n of handle.async()) if (n === 1) break;
  });
});

describe("selfCleaning(): thenables that are more than a promise", () => {
  it("keeps a task a task", async () => {
    const handle = selfCleaning(
      (scope) => ({ start: (): Task<string> => spawn(scope, async () => "done", { name: "work" }) }),
      { name: "owner", onOrphan: "ignore" },
    );
    const task = handle.start();
    expect(task.path).toBe("owner/work");
    expect(await task).toBe("done");
    expect(task.status).toBe("succeeded");
    expect(await task.finally(() => undefined)).toBe("done");
    expect(task.cancel()).toBe(false);
  });

  it("does not start a lazy one", async () => {
    const run = vi.fn<(resolve: (value: number) => void) => void>((resolve) => resolve(1));
    // oxlint-disable-next-line unicorn/no-thenable -- a thenable is what is tested
    const handle = selfCleaning(() => ({ query: () => ({ then: run }) }), { onOrphan: "ignore" });
    const query = handle.query();
    expect(run).not.toHaveBeenCalled();
    expect(await (query as unknown as PromiseLike<number>)).toBe(1);
  });

  it("lets select() wait for a task", async () => {
    const handle = selfCleaning(
      (scope) => ({ start: (): Task<string> => spawn(scope, async () => "done") }),
      {
        onOrphan: "ignore",
      },
    );
    const selected = await withScope((scope) => select(scope, { task: handle.start() }));
    expect(selected).toEqual({ key: "task", value: "done" });
  });

  const withThen = (then: unknown, prototype: object | null): object =>
    // oxlint-disable-next-line unicorn/no-thenable -- a thenable is what is tested
    Object.defineProperty(Object.create(prototype) as object, "then", { value: then });
  it.each([
    ["a literal", withThen(() => undefined, Object.prototype)],
    ["an object that inherits it", Object.create(withThen(() => undefined, null)) as object],
    ["a frozen object", Object.freeze(withThen(undefined, null))],
  ])("refuses an inner object with a then method, and says why: %s", (_, inner) => {
    expect(() => selfCleaning(() => inner)).toThrow(/with a then method, .*return an object that holds it/);
  });

  it("accepts a frozen thenable", async () => {
    // oxlint-disable-next-line unicorn/no-thenable -- a thenable is what is tested
    const frozen = Object.freeze({ label: "query", then: (resolve: (value: number) => void) => resolve(1) });
    const handle = selfCleaning(() => ({ query: () => frozen }), { onOrphan: "ignore" });
    expect(handle.query().label).toBe("query");
    expect(Object.keys(handle.query())).toEqual(["label", "then"]);
    expect(await (handle.query() as unknown as PromiseLike<number>)).toBe(1);
  });

  it("sets its accessors on itself", () => {
    class Query {
      #limit = 0;
      get limit(): number {
        return this.#limit;
      }
      set limit(limit: number) {
        this.#limit = limit;
      }
      // oxlint-disable-next-line unicorn/no-thenable -- a thenable is what is tested
      then(resolve: (value: number) => void): void {
        resolve(this.#limit);
      }
    }
    const handle = selfCleaning(() => ({ query: () => new Query() }), { onOrphan: "ignore" });
    const query = handle.query();
    query.limit = 3;
    expect(query.limit).toBe(3);
  });

  it.each(["then", "next"])("returns an object whose %s throws when it is read", (key) => {
    const strict = Object.defineProperty({ value: 1 }, key, {
      get: () => {
        throw new Error("not that");
      },
    });
    const handle = selfCleaning(() => ({ read: () => strict }), { onOrphan: "ignore" });
    expect(handle.read()).toBe(strict);
  });
});

describe("selfCleaning(): life", () => {
  it("passes a scope to build whose workers run until the handle is closed", async () => {
    let reason: CancelledError | undefined;
    const { handle, scope } = make();
    spawn(scope, (task) => {
      task.onCancel((why) => (reason = why));
      return never(task);
    });
    await close(handle);
    expect(reason?.kind).toBe("closed");
    expect(scope.state).toBe("closed");
    await close(handle);
    expect(handle.count).toBe(0);
  });

  it("closes by Symbol.asyncDispose", async () => {
    let seen!: Scope;
    {
      await using handle = selfCleaning((scope) => {
        seen = scope;
        spawn(scope, never);
        return new Thing();
      });
      expect(handle.count).toBe(0);
      expect(seen.state).toBe("open");
    }
    expect(seen.state).toBe("closed");
  });

  it("disposes of the inner object when the workers have stopped, not before and not twice", async () => {
    const log: string[] = [];
    class Disposable {
      async [Symbol.asyncDispose](): Promise<void> {
        log.push("disposed");
      }
    }
    const handle = selfCleaning((scope) => {
      spawn(scope, async (task) => {
        await never(task).catch(() => undefined);
        log.push("worker stopped");
      });
      return new Disposable();
    });
    const disposal: Promise<void> = handle[Symbol.asyncDispose]();
    expect(log).toEqual([]);
    await disposal;
    await handle[Symbol.asyncDispose]();
    expect(log).toEqual(["worker stopped", "disposed"]);
  });

  it("has Symbol.dispose if the inner object has, which does not wait", async () => {
    const dispose = vi.fn<() => void>();
    const literal = selfCleaning(() => ({ [Symbol.dispose]: dispose }));
    literal[Symbol.dispose]();
    await close(literal);
    expect(dispose).toHaveBeenCalledOnce();
    class Sync {
      [Symbol.dispose](): void {
        dispose();
      }
    }
    const instance = selfCleaning(() => new Sync());
    instance[Symbol.dispose]();
    await close(instance);
    expect(dispose).toHaveBeenCalledTimes(2);
    expect(Symbol.dispose in make().handle).toBe(false);
  });

  it("closes the scope when build throws, and throws the same", async () => {
    const error = new Error("build");
    let scope!: Scope;
    const cleanup = vi.fn<() => void>();
    expect(() =>
      selfCleaning((view) => {
        scope = view;
        view.defer(cleanup);
        spawn(view, never);
        throw error;
      }),
    ).toThrow(error);
    expect(scope.reason?.kind).toBe("closed");
    expect(scope.reason?.cause).toBe(error);
    await vi.waitFor(() => expect(scope.state).toBe("closed"), 10_000);
    expect(cleanup).toHaveBeenCalledOnce();
  });

  it.each([
    ["a promise", async () => new Thing()],
    ["a primitive", () => 1],
    ["null", () => null],
    ["a function", () => () => 1],
    ["an array", () => [1]],
    ["a typed array", () => new Uint8Array(1)],
    ["the scope", (scope: Scope) => scope],
  ])("throws a TypeError when build returns %s", (_, build) => {
    let scope!: Scope;
    expect(() =>
      selfCleaning((view) => {
        scope = view;
        return build(view) as object;
      }),
    ).toThrow(TypeError);
    expect(scope.state).toBe("closed");
  });

  it("throws a TypeError for a bad argument, with nothing started", () => {
    const build = vi.fn<() => Thing>(() => new Thing());
    expect(() => selfCleaning(1 as never)).toThrow(TypeError);
    expect(() => selfCleaning(build, { timeout: -1 })).toThrow(RangeError);
    expect(build).not.toHaveBeenCalled();
  });

  it("throws the reason when it starts cancelled because of its options", () => {
    const build = vi.fn<() => Thing>(() => new Thing());
    let thrown: unknown;
    try {
      selfCleaning(build, { timeout: 0 });
    } catch (error) {
      thrown = error;
    }
    expect(isCancelled(thrown) && thrown.kind).toBe("deadline");
    expect(build).not.toHaveBeenCalled();
  });

  it("survives a worker that fails while build runs, and keeps the failure for close()", async () => {
    const error = new Error("at once");
    const handle = selfCleaning((scope) => {
      spawn(scope, () => {
        throw error;
      });
      scope.defer(() => undefined);
      return new Thing();
    });
    await expect(close(handle)).rejects.toBe(error);
    await handle[Symbol.asyncDispose]();
  });

  it("is cancelled by a foreign signal, and its methods still work", async () => {
    const controller = new AbortController();
    const handle = selfCleaning(
      (scope) => {
        spawn(scope, never);
        return new Thing();
      },
      { signal: controller.signal },
    );
    controller.abort();
    expect(handle.increase()).toBe(2);
    await close(handle);
  });

  it("has the name of the options, otherwise that of build, otherwise that of the class", () => {
    const nameOf = (build: (scope: Scope) => object, name?: string): string => {
      let scope!: Scope;
      const note = (view: Scope): object => ((scope = view), build(view));
      Object.defineProperty(note, "name", { value: build.name });
      selfCleaning(note, { name, onOrphan: "ignore" });
      return scope.name;
    };
    const build = function cache(): Thing {
      return new Thing();
    };
    expect(nameOf(build, "given")).toBe("given");
    expect(nameOf(build)).toBe("cache");
    expect(nameOf(() => new Thing())).toBe("Thing");
    expect(nameOf(() => ({}))).toBe("anonymous");
  });

  it("makes a root, also inside a worker", () => {
    expect(make().scope.path).toBe("Thing");
    expect(background.cancelled).toBe(false);
  });
});

describe("close()", () => {
  it("throws a TypeError for a value that is not an owner handle", async () => {
    await expect(close(new Thing() as never)).rejects.toBeInstanceOf(TypeError);
    await expect(close(undefined as never)).rejects.toBeInstanceOf(TypeError);
  });

  it("rejects with the stuck tasks when the grace period runs out", async () => {
    vi.useFakeTimers();
    try {
      let release!: () => void;
      const handle = selfCleaning(
        (scope) => {
          spawn(scope, () => new Promise<void>((resolve) => (release = resolve)));
          return new Thing();
        },
        { grace: 50 },
      );
      const closing = close(handle).catch((error: unknown) => error);
      await vi.advanceTimersByTimeAsync(50);
      expect(await closing).toBeInstanceOf(StuckTasksError);
      release();
      await close(handle);
    } finally {
      vi.useRealTimers();
    }
  });
});
