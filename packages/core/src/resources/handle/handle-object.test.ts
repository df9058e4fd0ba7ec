/* oxlint-disable typescript/no-misused-spread -- spreading an object is what is tested */
import { mock } from "node:test";
import { inspect, isDeepStrictEqual } from "node:util";
import "reflect-metadata";
import { isReactive, reactive, readonly, shallowReactive } from "@vue/reactivity";
import { describe, expect, it, vi } from "vitest";
import { selfCleaning, spawn, type SelfCleaning } from "../../index.js";
import { deferred } from "../../../test/support/deferred.js";

const quiet = { onOrphan: "ignore" } as const;

describe("rule 24: a method of a handle is looked up when it is called", () => {
  const make = () => {
    class Base {
      inherited(): string {
        return "base";
      }
    }
    class Repo extends Base {
      get(): string {
        return "real";
      }
      both(): string {
        return this.get() + this.inherited();
      }
    }
    return { Base, Repo };
  };

  it("a stub that was there when the first handle was made goes when it is restored", () => {
    const { Repo } = make();
    const stub = mock.method(Repo.prototype, "get", () => "stub");
    const handle = selfCleaning(() => new Repo(), quiet);
    expect(handle.get()).toBe("stub");
    stub.mock.restore();
    expect([handle.get(), selfCleaning(() => new Repo(), quiet).get(), new Repo().get()]).toEqual([
      "real",
      "real",
      "real",
    ]);
  });

  it("a stub that was made later works on every handle, and on calls from inside", () => {
    const { Repo } = make();
    const handle = selfCleaning(() => new Repo(), quiet);
    expect(handle.both()).toBe("realbase");
    const spy = vi.spyOn(Repo.prototype, "get").mockReturnValue("spy");
    expect([handle.get(), handle.both(), selfCleaning(() => new Repo(), quiet).get()]).toEqual([
      "spy",
      "spybase",
      "spy",
    ]);
    expect(spy).toHaveBeenCalledTimes(3);
    spy.mockRestore();
    expect(handle.get()).toBe("real");
  });

  it("a stub of an inherited method works, on the base and on the class", () => {
    const { Base, Repo } = make();
    const handle = selfCleaning(() => new Repo(), quiet);
    const onBase = vi.spyOn(Base.prototype, "inherited").mockReturnValue("stubbed");
    expect(handle.inherited()).toBe("stubbed");
    onBase.mockRestore();
    const onClass = vi.spyOn(Repo.prototype, "inherited").mockReturnValue("own");
    expect(handle.inherited()).toBe("own");
    onClass.mockRestore();
    expect(handle.inherited()).toBe("base");
  });

  it("a method that inner code replaces in the object itself is the one that is called", () => {
    class Loader {
      load(): string {
        return "first";
      }
      warm(): void {
        this.load = () => "later";
      }
      cool(): void {
        Reflect.deleteProperty(this, "load");
      }
    }
    class Special extends Loader {
      get(): string {
        return this.load();
      }
    }
    const handle = selfCleaning(() => new Special(), quiet);
    const load = Reflect.get<typeof handle, "load">(handle, "load");
    expect(handle.load()).toBe("first");
    handle.warm();
    expect([handle.load(), handle.get(), load.call(handle)]).toEqual(["later", "later", "later"]);
    handle.cool();
    expect([handle.load(), handle.get()]).toEqual(["first", "first"]);
  });

  it("a method that was replaced in the object is called with many arguments and through a wrapper, until it is removed", () => {
    class Sum {
      add(...numbers: number[]): string {
        return `first ${numbers.length}`;
      }
      replace(): void {
        this.add = (...numbers) => `later ${numbers.length}`;
      }
      restore(): void {
        Reflect.deleteProperty(this, "add");
      }
    }
    const handle = selfCleaning(() => new Sum(), quiet);
    const wrapped = new Proxy(handle, {});
    handle.replace();
    expect([handle.add(1, 2, 3), wrapped.add(1)]).toEqual(["later 3", "later 1"]);
    handle.restore();
    expect([handle.add(1, 2, 3), wrapped.add(1)]).toEqual(["first 3", "first 1"]);
    Reflect.deleteProperty(Sum.prototype, "add");
    for (const add of [() => handle.add(1), () => handle.add(1, 2, 3), () => wrapped.add(1)])
      expect(add).toThrow(new TypeError("add is no longer a function"));
  });

  it("calling a removed method throws an error that names it", () => {
    const { Repo } = make();
    const handle = selfCleaning(() => new Repo(), quiet);
    Reflect.deleteProperty(Repo.prototype, "get");
    expect(() => handle.get()).toThrow(new TypeError("get is no longer a function"));
  });
});

describe("rule 24: fields that inner code sets later", () => {
  class Stats {
    count = 0;
    declare lastError?: unknown;
    declare ready?: boolean;
    fail(error: unknown): this {
      this.lastError = error;
      return this;
    }
    async connect(): Promise<void> {
      await Promise.resolve();
      this.ready = true;
    }
    forget(): void {
      delete this.lastError;
    }
  }
  const keysOf = (object: object): string[] => Object.keys(object);

  it("are seen by in, keys, spread, entries and JSON, without having been read", () => {
    const handle = selfCleaning(() => new Stats(), quiet).fail("boom");
    expect("lastError" in handle).toBe(true);
    expect(keysOf(handle)).toEqual(["count", "lastError"]);
    expect({ ...handle }).toEqual({ count: 0, lastError: "boom" });
    expect(Object.entries(handle)).toEqual([
      ["count", 0],
      ["lastError", "boom"],
    ]);
    expect(JSON.stringify(handle)).toBe('{"count":0,"lastError":"boom"}');
    expect(Object.hasOwn(handle, "lastError")).toBe(true);
    const seen: string[] = [];
    for (const key in handle) seen.push(key);
    expect(seen).toEqual(["count", "lastError"]);
    expect(Reflect.ownKeys(handle)).toEqual(["count", "lastError"]);
  });

  it("are seen after an async method, and go when they are deleted", async () => {
    const handle = selfCleaning(() => new Stats(), quiet).fail("boom");
    expect("ready" in handle).toBe(false);
    await handle.connect();
    expect(keysOf(handle)).toEqual(["count", "lastError", "ready"]);
    handle.forget();
    expect("lastError" in handle).toBe(false);
    expect(JSON.stringify(handle)).toBe('{"count":0,"ready":true}');
    delete handle.ready;
    expect(keysOf(handle)).toEqual(["count"]);
    expect(handle.ready).toBeUndefined();
  });

  it("are seen when a worker sets them between two uses", async () => {
    const go = deferred();
    const done = deferred();
    const handle: SelfCleaning<Stats> = selfCleaning((scope) => {
      const stats = new Stats();
      spawn(scope, async () => {
        await go.promise;
        stats.ready = true;
        done.resolve();
      });
      return stats;
    }, quiet);
    expect("ready" in handle).toBe(false);
    go.resolve();
    await done.promise;
    expect("ready" in handle).toBe(true);
    expect({ ...handle }).toEqual({ count: 0, ready: true });
  });

  it("are seen in a literal, by symbols and by computed names", () => {
    const tag = Symbol("tag");
    const handle = selfCleaning(() => {
      const state = {
        a: 1,
        put(key: PropertyKey, value: unknown): void {
          (this as Record<PropertyKey, unknown>)[key] = value;
        },
      };
      return state;
    }, quiet);
    handle.put("b", 2);
    handle.put(tag, 3);
    expect(Object.keys(handle)).toEqual(["a", "put", "b"]);
    expect(tag in handle).toBe(true);
    expect(JSON.stringify(handle)).toBe('{"a":1,"b":2}');
  });

  it("are seen by JSON and reads even where the source code does not show them", () => {
    const setter = (target: object): void => void Reflect.set(target, "hidden", 1);
    class Plain {
      a = 0;
      touch(): void {
        setter(this);
      }
    }
    const handle = selfCleaning(() => new Plain(), quiet);
    handle.touch();
    expect(JSON.stringify(handle)).toBe('{"a":0,"hidden":1}');
    expect("hidden" in handle).toBe(true);
  });
});

describe("rule 24: late fields of literals with equal or similar functions", () => {
  interface Late {
    grow(): void;
    late?: number;
  }
  const keysAfter = (make: () => Late): string[] => {
    const handle = selfCleaning(make, quiet);
    handle.grow();
    return Object.keys(handle);
  };

  it("are listed for every one of the literals of one place", () => {
    const make = (): Late => ({
      grow() {
        this.late = 1;
      },
    });
    expect([1, 2, 3].map(() => keysAfter(make))).toEqual(Array(3).fill(["grow", "late"]));
  });

  it("are listed if another function is as long, and assigns to a known field or to none", () => {
    const make = (statement: string): (() => Late) =>
      // oxlint-disable-next-line typescript/no-implied-eval -- as long as one another to the character
      new Function(`return { x: 0, grow() { ${statement}; } };`) as () => Late;
    const kinds = ["this.x = 1", "this.y = 1", "this.x + 1"].map(make);
    for (let round = 0; round < 3; round++)
      expect(kinds.map((kind) => keysAfter(kind))).toEqual([
        ["x", "grow"],
        ["x", "grow", "y"],
        ["x", "grow"],
      ]);
  });

  it("are listed after more functions of one length than are remembered", () => {
    for (const letter of "abcdefghijklmnopq") {
      // oxlint-disable-next-line typescript/no-implied-eval -- each function needs another source
      const make = new Function(`return { grow() { this.${letter} = 1; } };`) as () => Late;
      expect(keysAfter(make)).toEqual(["grow", letter]);
      expect(keysAfter(make)).toEqual(["grow", letter]);
    }
  });

  it("are listed if the fields of another literal with the same functions were known", () => {
    const grow = function (this: Late): void {
      this.late = 1;
    };
    expect(keysAfter(() => ({ late: 0, grow }))).toEqual(["late", "grow"]);
    expect(keysAfter(() => ({ grow }))).toEqual(["grow", "late"]);
  });
});

describe("rule 24: a handle behind another object", () => {
  class Cache {
    size = 3;
    #hits = 0;
    get(): number {
      this.#hits += 1;
      return this.size;
    }
    get hits(): number {
      return this.#hits;
    }
    self(): this {
      return this;
    }
  }
  const make = (): SelfCleaning<Cache> => selfCleaning(() => new Cache(), quiet);

  it.each<[string, (handle: Cache) => Cache]>([
    ["a Proxy", (handle) => new Proxy(handle, {})],
    ["a Proxy of a Proxy", (handle) => new Proxy(new Proxy(handle, {}), {})],
    [
      "a Proxy that reads with itself",
      (handle) =>
        new Proxy(handle, { get: (target, key, self) => Reflect.get(target, key, self) as unknown }),
    ],
    ["reactive()", (handle) => reactive(handle) as unknown as Cache],
    ["shallowReactive()", (handle) => shallowReactive(handle)],
    ["Object.create()", (handle) => Object.create(handle) as Cache],
  ])("has its fields, accessors and methods behind %s", (_, wrap) => {
    const handle = make();
    const wrapped = wrap(handle);
    expect([wrapped.size, wrapped.get(), wrapped.hits]).toEqual([3, 3, 1]);
    wrapped.size = 4;
    expect([handle.size, wrapped.size, wrapped.get()]).toEqual([4, 4, 4]);
    expect(wrapped.self()).toBe(wrapped);
    expect(wrapped).toBeInstanceOf(Cache);
    expect("size" in wrapped).toBe(true);
  });

  it("Reflect.get() and Reflect.set() with another receiver do what they do with any object, or say why not", () => {
    class Account {
      owner = "a";
      #balance = 1;
      get plus(): string {
        return `${this.owner}+`;
      }
      get balance(): number {
        return this.#balance;
      }
      set name(name: string) {
        this.owner = name;
      }
    }
    const handle = selfCleaning(() => new Account(), quiet);
    const other = { owner: "b" };
    expect(Reflect.get(handle, "plus", other)).toBe("b+");
    expect(() => Reflect.get(handle, "balance", other) as unknown).toThrow(/private member/);
    expect(() => Reflect.get(handle, "owner", other) as unknown).toThrow(
      new TypeError(
        "Cannot read owner: it is a field of a selfCleaning() handle, and was read with another receiver (a plain object); read it from the handle",
      ),
    );
    expect([Reflect.set(handle, "name", "c", other), other.owner]).toEqual([true, "c"]);
    expect([Reflect.set(handle, "owner", "d", other), other.owner, handle.owner]).toEqual([true, "d", "a"]);
    expect([Reflect.get(handle, "plus"), Reflect.get(handle, "plus", handle)]).toEqual(["a+", "a+"]);
    expect(Reflect.get(handle, "owner", new Proxy(handle, {}))).toBe("a");
  });

  it("keeps a property that was defined on the handle from outside when JSON or keys are asked for", () => {
    class Plain {
      x = 1;
    }
    class Grows extends Plain {
      set(): void {
        Object.assign(this, { late: 1 });
      }
    }
    for (const handle of [selfCleaning(() => new Plain(), quiet), selfCleaning(() => new Grows(), quiet)]) {
      Object.defineProperty(handle, "extra", { value: 2, enumerable: true, configurable: true });
      expect(JSON.stringify(handle)).toBe('{"x":1,"extra":2}');
      expect([Object.keys(handle), "extra" in handle]).toEqual([["x", "extra"], true]);
    }
  });

  it("works behind readonly() of Vue's, in a reactive object, and in a growing class", () => {
    class Grows {
      declare late?: number;
      set(): void {
        this.late = 1;
      }
    }
    const handle = selfCleaning(() => new Grows(), quiet);
    const state = reactive({ handle });
    state.handle.set();
    expect(state.handle.late).toBe(1);
    expect(isReactive(state)).toBe(true);
    expect(readonly(handle).late).toBe(1);
    expect("late" in new Proxy(handle, {})).toBe(true);
  });

  it("names the mistake when Symbol.asyncDispose is called without its handle", async () => {
    const dispose = make()[Symbol.asyncDispose];
    await expect(Reflect.apply(dispose, undefined, [])).rejects.toThrow(
      new TypeError(
        "[Symbol.asyncDispose] of a selfCleaning() handle must be called on the handle, got undefined as its this",
      ),
    );
  });

  it("does not show a field that a method has deleted", () => {
    class Loader {
      error?: string = "x";
      ready = true;
      reset(): void {
        delete this.error;
      }
    }
    const handle = selfCleaning(() => new Loader(), quiet);
    handle.reset();
    expect("error" in handle).toBe(false);
    expect(JSON.stringify(handle)).toBe('{"ready":true}');
    expect({ ...handle }).toEqual({ ready: true });
  });

  it("can be closed by Symbol.asyncDispose of a Proxy", async () => {
    const handle = make();
    await new Proxy(handle, {})[Symbol.asyncDispose]();
  });
});

describe("rule 24: a function in a field keeps its own properties", () => {
  it("a mock, a logger, a memoized function", () => {
    const onEvict = vi.fn<(key: string) => void>();
    const log = Object.assign((line: string): string => line, { enabled: true });
    const memo = Object.assign(() => 1, { cache: new Map([["a", 1]]) });
    const handle = selfCleaning(() => ({ log, onEvict, memo }), quiet);
    handle.onEvict("key");
    expect(handle.onEvict).toHaveBeenCalledWith("key");
    expect(vi.isMockFunction(handle.onEvict)).toBe(true);
    expect(handle.log.enabled).toBe(true);
    handle.log.enabled = false;
    expect(log.enabled).toBe(false);
    expect(handle.log("x")).toBe("x");
    expect(handle.memo.cache.get("a")).toBe(1);
    expect(Object.keys(handle.memo)).toEqual(["cache"]);
    expect(handle.log).toBe(handle.log);
  });

  it("a mock of node:test, and later properties of a function", () => {
    const hook = mock.fn((by: number) => by + 1);
    const plain = (): number => 1;
    const handle = selfCleaning(() => ({ hook, plain }), quiet);
    expect(handle.hook(1)).toBe(2);
    expect(handle.hook.mock.callCount()).toBe(1);
    void handle.plain;
    Object.assign(plain, { tag: "late" });
    expect((handle.plain as { tag?: string }).tag).toBe("late");
  });
});

/* oxlint-disable typescript/unbound-method -- the method itself is what is tested */
describe("rule 24: a method of a handle has the properties of the method that the class has now", () => {
  const make = () => {
    class Repo {
      get(id: number): string {
        return `real ${id}`;
      }
    }
    return { Repo, handle: selfCleaning(() => new Repo(), quiet) };
  };

  it("a spy of Vitest on the prototype can be asserted and configured through the handle", () => {
    const { Repo, handle } = make();
    const spy = vi.spyOn(Repo.prototype, "get");
    expect(handle.get(1)).toBe("real 1");
    expect(handle.get).toHaveBeenCalledExactlyOnceWith(1);
    vi.mocked(handle.get).mockReturnValue("configured");
    expect([handle.get(2), new Repo().get(2)]).toEqual(["configured", "configured"]);
    spy.mockRestore();
    expect([handle.get(3), vi.isMockFunction(handle.get)]).toEqual(["real 3", false]);
  });

  it("a mock of node:test on the prototype, made before and after the first handle", () => {
    const { Repo, handle } = make();
    const later = mock.method(Repo.prototype, "get", () => "mock");
    handle.get(1);
    expect((handle.get as typeof later).mock.callCount()).toBe(1);
    class Other extends Repo {}
    const inherited = selfCleaning(() => new Other(), quiet);
    inherited.get(1);
    expect((inherited.get as typeof later).mock.callCount()).toBe(2);
    later.mock.restore();
    expect("mock" in handle.get).toBe(false);
  });

  it("properties that a decorator has set on the method, before or after", () => {
    const { Repo, handle } = make();
    const method = Repo.prototype.get;
    Object.assign(method, { route: "/:id" });
    Reflect.defineMetadata("guards", ["admin"], method);
    const shown = handle.get as typeof method & { route: string; seen?: boolean };
    expect([shown.route, "route" in shown]).toEqual(["/:id", true]);
    expect(Reflect.getMetadata("guards", shown)).toEqual(["admin"]);
    shown.seen = true;
    expect(method).toHaveProperty("seen", true);
  });

  it("is a function like any other: call, apply, bind, name, length, inspect", () => {
    const { handle } = make();
    expect([handle.get.call(handle, 1), handle.get.apply(handle, [2]), handle.get.bind(handle)(3)]).toEqual([
      "real 1",
      "real 2",
      "real 3",
    ]);
    expect([handle.get.name, handle.get.length, handle.get instanceof Function]).toEqual(["get", 1, true]);
    expect([inspect(handle.get), String(handle.get)]).toEqual(["[Function: get]", expect.any(String)]);
  });
});

describe("rule 24: freezing a handle freezes its inner object", () => {
  const make = (): SelfCleaning<{ a: number; b?: number; set(b: number): void }> =>
    selfCleaning(() => {
      const inner = {
        a: 1,
        set(b: number): void {
          this.a = b;
        },
      };
      return inner;
    }, quiet);

  it("Object.freeze() forbids assignments from outside, and says that it is frozen", () => {
    const handle = make();
    Object.freeze(handle);
    expect(Object.isFrozen(handle)).toBe(true);
    expect(() => (handle.a = 2)).toThrow(TypeError);
    expect(() => (handle.b = 2)).toThrow(TypeError);
    expect(handle.a).toBe(1);
    handle.set(5);
    expect(handle.a).toBe(5); // what its methods do is theirs
  });

  it("Object.seal() and Object.preventExtensions() forbid new fields only", () => {
    for (const limit of [Object.seal, Object.preventExtensions] as const) {
      const handle = make();
      limit(handle);
      handle.a = 2;
      expect(handle.a).toBe(2);
      expect(() => (handle.b = 2)).toThrow(TypeError);
      expect("b" in handle).toBe(false);
      expect(Object.isExtensible(handle)).toBe(false);
    }
  });

  it("a frozen inner object has a frozen handle", () => {
    const handle = selfCleaning(() => Object.freeze({ a: 1, list: Object.freeze([1]) }), quiet);
    expect(Object.isFrozen(handle)).toBe(true);
    expect(() => Object.assign(handle, { a: 2 })).toThrow(TypeError);
    expect(handle.list).toEqual([1]);
  });

  it("a growing object that was frozen from outside keeps its keys", () => {
    class Grows {
      declare late?: number;
      grow(): void {
        this.late = 1;
      }
    }
    const handle = Object.freeze(selfCleaning(() => new Grows(), quiet));
    handle.grow();
    expect(handle.late).toBe(1);
    expect("late" in handle).toBe(false);
    expect(Object.isFrozen(handle)).toBe(true);
  });
});

describe("rule 24: the limits of a handle", () => {
  it("a property that is defined on the handle, or assigned to a method's name, changes the handle and not the inner object", () => {
    class Cache {
      size = 3;
      load(): string {
        return "real";
      }
      show(): string {
        return `${this.load()} ${this.size}`;
      }
    }
    const handle = selfCleaning(() => new Cache(), quiet);
    handle.load = () => "stub";
    Object.defineProperty(handle, "size", { value: 4 });
    expect([handle.load(), handle.size, handle.show()]).toEqual(["stub", 4, "real 3"]);
  });

  it("its prototype is not the class's, so it is equal, but not strictly equal for node:assert", () => {
    class Point {
      x = 1;
    }
    const handle = selfCleaning(() => new Point(), quiet);
    expect(handle).toStrictEqual(new Point());
    expect([handle instanceof Point, handle.constructor === Point]).toEqual([true, true]);
    expect([
      Object.getPrototypeOf(handle) === Point.prototype,
      isDeepStrictEqual(handle, new Point()),
    ]).toEqual([false, false]);
  });

  it("structuredClone copies the fields of a handle, but not the contents of a Map", () => {
    expect(structuredClone(selfCleaning(() => ({ x: 1 }), quiet))).toEqual({ x: 1 });
    expect(structuredClone(selfCleaning(() => new Map([["a", 1]]), quiet))).toEqual({});
  });

  it("private members of another instance, #x in handle, and platform types do not work", () => {
    class Peer {
      #x = 1;
      equals(other: Peer): boolean {
        return this.#x === other.#x;
      }
      static is(value: object): boolean {
        return #x in value;
      }
    }
    const handle = selfCleaning(() => new Peer(), quiet);
    const other = selfCleaning(() => new Peer(), quiet);
    expect(Peer.is(handle)).toBe(false);
    expect(() => handle.equals(other)).toThrow(TypeError);
    expect(handle.equals(handle)).toBe(true); // its own comes in as the inner object
    const map = selfCleaning(() => new Map([["a", 1]]), quiet);
    expect(Object.prototype.toString.call(map)).toBe("[object Map]");
    expect(() => Map.prototype.get.call(map, "a")).toThrow(TypeError);
    expect(map.get("a")).toBe(1);
  });

  it("a function in a field can't be stubbed by its property, but by an assignment, from outside and inside", () => {
    const handle = selfCleaning(
      () => ({
        load: (): string => "real",
        twice(): string {
          return this.load() + this.load();
        },
      }),
      quiet,
    );
    expect(() => mock.method(handle, "load", () => "stub")).toThrow(/must be a method/);
    expect(() => vi.spyOn(handle, "load")).toThrow(/can only spy on a function/);
    const { load } = handle;
    const stub = mock.fn(() => "stub");
    handle.load = stub;
    expect([handle.load(), handle.twice(), handle.load === stub, stub.mock.callCount()]).toEqual([
      "stub",
      "stubstub",
      true,
      3,
    ]);
    handle.load = load;
    expect([handle.load(), handle.twice()]).toEqual(["real", "realreal"]);
  });
});
