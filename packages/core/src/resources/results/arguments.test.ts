import { describe, expect, it } from "vitest";
import { close, selfCleaning } from "../../index.js";

class Store {
  readonly #items: unknown[] = [];
  put(...items: unknown[]): number {
    return this.#items.push(...items);
  }
  at(index: number): unknown {
    return this.#items[index];
  }
  holds(index: number, value: unknown): boolean {
    return this.#items[index] === value;
  }
  *inside(index: number): Generator {
    const held = this.#items[index] as object;
    yield* held instanceof Map || held instanceof Set ? held.values() : Object.values(held);
  }
  get self(): this {
    return this;
  }
  isMe(value: unknown): boolean {
    return value === this;
  }
  areMe(...values: unknown[]): boolean[] {
    return values.map((value) => value === this);
  }
  rows(): AsyncGenerator<number> {
    return rows;
  }
  isRows(value: unknown): boolean {
    return value === rows;
  }
}

async function* generate(): AsyncGenerator<number> {
  yield 1;
}
const rows = generate();

class Point {
  readonly x: number;
  constructor(x: number) {
    this.x = x;
  }
}

describe("the arguments of a handle's method", () => {
  it("rule 24: are the inner object in place of the handle, at whichever position", async () => {
    const store = selfCleaning(() => new Store(), { onOrphan: "ignore" });
    const point = new Point(1);
    expect(store.areMe(store)).toEqual([true]);
    expect(store.areMe(point, store)).toEqual([false, true]);
    expect(store.areMe("a", 1, store, point, store)).toEqual([false, false, true, false, true]);
    await close(store);
  });

  it("rule 24: stay the same objects if they are neither handles nor results, and so when they come back", async () => {
    const store = selfCleaning(() => new Store(), { onOrphan: "ignore" });
    const given = [new Point(1), new Date(), new Map(), Buffer.alloc(1), { a: 1 }, [1], () => 1, new Store()];
    given.forEach((value, index) => {
      store.put(value);
      expect(store.holds(index, value)).toBe(true);
      expect(store.at(index)).toBe(value);
    });
    await close(store);
  });

  it("rule 24: come back as themselves from each of the handles that they were given to", async () => {
    const stores = [1, 2, 3].map(() => selfCleaning(() => new Store(), { onOrphan: "ignore" }));
    const given = [new Store(), () => 1, new Map([["open", () => new Store()]]), { open: () => 1 }];
    for (const round of [0, 1])
      for (const store of stores) for (const value of given) expect(store.put(value)).toBeGreaterThan(round);
    for (const store of stores)
      for (const index of [0, 1, 2, 3, 4, 5, 6, 7]) expect(store.at(index)).toBe(given[index % 4]);
    await Promise.all(stores.map((store) => close(store)));
  });

  it("rule 24: come back as themselves also if they are frozen or sealed, or a proxy that answers nothing", async () => {
    const store = selfCleaning(() => new Store(), { onOrphan: "ignore" });
    const never = (): never => {
      throw new Error("asked");
    };
    const given = [
      Object.freeze(new Store()),
      Object.seal(new Store()),
      Object.preventExtensions(() => 1),
      new Proxy(new Store(), {}),
      new Proxy(new Store(), { get: never, has: never, set: never, defineProperty: never }),
      Proxy.revocable(new Store(), {}).proxy,
      Object.create(new Store()) as object,
    ];
    for (const value of given) store.put(value);
    given.forEach((value, index) => expect(store.holds(index, value)).toBe(true));
    given.forEach((value, index) => expect(Object.is(store.at(index), value)).toBe(true));
    await close(store);
  });

  it("rule 24: are not changed in any way that a program sees", async () => {
    const store = selfCleaning(() => new Store(), { onOrphan: "ignore" });
    const given = { stats: new Map([["a", 1]]), point: new Point(1), run: (): number => 1 };
    const before = [given.stats, given.point, given.run].map((value) =>
      Object.getOwnPropertyDescriptors(value),
    );
    store.put(given, given.stats, given.point, given.run);
    const after = [given.stats, given.point, given.run].map((value) =>
      Object.getOwnPropertyDescriptors(value),
    );
    expect(after).toEqual(before);
    expect(structuredClone(given.stats)).toEqual(given.stats);
    expect(given.point).toEqual(new Point(1));
    await close(store);
  });

  it("rule 24: are as many for the method as its caller has passed, whatever they are", async () => {
    const counting = selfCleaning(
      () => ({
        field: (...args: unknown[]): unknown => args.length,
        method(...args: unknown[]): unknown {
          return args.length;
        },
      }),
      { onOrphan: "ignore" },
    );
    class Counting {
      count(...args: unknown[]): number {
        return args.length;
      }
    }
    const counter = selfCleaning(() => new Counting(), { onOrphan: "ignore" });
    const some = [undefined, Number.NaN, counter, null, new Point(1)];
    for (let count = 0; count <= some.length; count++) {
      const args = some.slice(0, count);
      expect([counter.count(...args), counting.field(...args), counting.method(...args)]).toEqual([
        count,
        count,
        count,
      ]);
    }
    await Promise.all([close(counting), close(counter)]);
  });

  it("rule 24: are distinguished from similar handles: an object that inherits from the same prototype is not a handle", async () => {
    const inner = new Store();
    const store = selfCleaning(() => inner, { onOrphan: "ignore" });
    const alike = Object.create(Object.getPrototypeOf(store) as object) as object;
    expect(store.isMe(alike)).toBe(false);
    expect(store.isMe(store)).toBe(true);
    const another = selfCleaning(() => new Store(), { onOrphan: "ignore" });
    store.put(another);
    expect(inner.holds(0, another)).toBe(false); // the inner object gets a weak handle
    expect(store.at(0)).toBe(another);
    await Promise.all([close(store), close(another)]);
  });

  it("rule 24: are the inner object's own in place of the results that its caller got", async () => {
    const store = selfCleaning(() => new Store(), { onOrphan: "ignore" });
    const shown = store.rows();
    expect(store.isRows(generate())).toBe(false); // another of the same class, first
    expect(shown).not.toBe(rows);
    expect(store.isRows(shown)).toBe(true);
    await close(store);
  });

  it("rule 24: returns the caller's objects of a class as themselves, whatever an earlier object of the class held", async () => {
    class Box {
      readonly value: unknown;
      constructor(value: unknown) {
        this.value = value;
      }
    }
    const store = selfCleaning(() => new Store());
    const boxes = [1, () => 1, Promise.resolve(1), new Map(), generate()].map((value) => new Box(value));
    store.put(...boxes);
    for (const [index, box] of boxes.entries()) expect(store.at(index)).toBe(box);
    await close(store);
  });

  const run = (): number => 1;
  const other = selfCleaning(() => new Store(), { onOrphan: "ignore" });
  const cyclic: unknown[] = [run];
  cyclic.push(cyclic);
  it.each<readonly [string, object]>([
    ["an array of functions", [run, () => 2]],
    ["nested arrays", [[[run]], "a"]],
    ["an array of literals", [{ run }, { runs: [run] }]],
    ["a literal with nested literals", { on: { data: run, all: [run] } }],
    ["an array of streams and promises", [new ReadableStream(), Promise.resolve(1), generate()]],
    ["a map of arrays", new Map([["a", [run]]])],
    ["a set of literals", new Set([{ run }])],
    ["an array of maps", [new Map([["a", run]])]],
    ["a frozen array", Object.freeze([run])],
    ["a literal without a prototype", Object.assign(Object.create(null) as object, { run })],
    ["an array of handles", [other]],
    ["an array that contains itself", cyclic],
  ])("rule 24: come back as themselves with what is in them: %s", async (_, given) => {
    const store = selfCleaning(() => new Store(), { onOrphan: "ignore" });
    const members = given instanceof Map || given instanceof Set ? [...given.values()] : Object.values(given);
    store.put(given, { nested: given });
    store.put(...store.inside(0), ...store.inside(1));
    expect(store.at(0)).toBe(given);
    members.forEach((member, index) => expect(store.at(2 + index)).toBe(member));
    expect(store.at(2 + members.length)).toBe(given);
    expect([...store.inside(0)]).toEqual(members);
    await close(store);
  });

  it("rule 24: come back as themselves after their owner has put functions into them", async () => {
    const store = selfCleaning(() => new Store(), { onOrphan: "ignore" });
    const [none, some]: (() => number)[][] = [[], [run]];
    const [map, set] = [new Map<string, unknown>(), new Set<unknown>()];
    const given = [none, some, {}, { run }, map, set];
    store.put(...given);
    none?.push(run);
    some?.push(() => 2);
    Object.assign(given[2] as object, { run });
    Object.assign(given[3] as object, { other: () => 2 });
    map.set("run", run);
    set.add(run);
    given.forEach((value, index) => expect(store.at(index)).toBe(value));
    await close(store);
  });

  it("rule 24: are replaced by a facade if the method put a result into them and returns them", async () => {
    const open = (): AsyncGenerator<number> => rows;
    const handle = selfCleaning(() => ({
      fill: (list: unknown[]) => (list.push(rows), list),
      extend: (options: object) => Object.assign(options, { open }),
      sort: (list: number[]) => list.sort(),
    }));
    const [list, options, numbers] = [[run] as unknown[], { run }, [2, 1]];
    const [filled, extended] = [
      handle.fill(list),
      handle.extend(options) as { open: typeof open; run: typeof run },
    ];
    expect([filled[0], extended.run]).toEqual([run, run]);
    expect(filled[1]).not.toBe(rows);
    expect(extended.open()).toBe(filled[1]);
    expect(handle.sort(numbers)).toBe(numbers);
    await close(handle);
  });

  it("rule 24: are themselves in the fields of the handle and of its results", async () => {
    class Route {
      readonly handler: () => number;
      #hits = 0;
      constructor(handler: () => number) {
        this.handler = handler;
      }
      hit(): number {
        return (this.#hits += this.handler());
      }
    }
    class Router {
      onError: unknown;
      plugins: unknown[] = [];
      route(handler: () => number): Route {
        return new Route(handler);
      }
      use(plugin: () => number, onError: unknown): void {
        this.plugins.push(plugin);
        this.onError = onError;
      }
    }
    const router = selfCleaning(() => new Router(), { onOrphan: "ignore" });
    const fail = (): number => 2;
    router.use(run, fail);
    const route = router.route(run);
    expect([route.handler, router.onError, router.plugins[0]]).toEqual([run, fail, run]);
    expect(route.hit() + route.hit()).toBe(3);
    await close(router);
  });

  it("rule 24: a proxy that throws when it is read is passed on and comes back", async () => {
    const store = selfCleaning(() => new Store(), { onOrphan: "ignore" });
    const never = (): never => {
      throw new Error("asked");
    };
    const hostile = [[], {}, new Map(), new Set()].map(
      (target) => new Proxy(target, { get: never, ownKeys: never, getOwnPropertyDescriptor: never }),
    );
    store.put(...hostile);
    hostile.forEach((value, index) => expect(store.holds(index, value)).toBe(true));
    hostile.forEach((value, index) => expect(Object.is(store.at(index), value)).toBe(true));
    await close(store);
  });

  it("rule 24: are converted in each call, also if they came in an array or literal before", async () => {
    const inner = new Store();
    const store = selfCleaning(() => inner, { onOrphan: "ignore" });
    const peer = selfCleaning(() => new Store(), { onOrphan: "ignore" });
    const shown = store.rows();
    store.put([store, peer, shown], { store, peer, shown }, peer);
    expect([store.isMe(store), store.isRows(shown)]).toEqual([true, true]);
    expect(inner.holds(2, peer)).toBe(false); // the inner object gets a weak handle
    expect([store.at(2), store.at(0)]).toEqual([peer, [store, peer, shown]]);
    await Promise.all([close(store), close(peer)]);
  });

  it.each<readonly [string, () => object, (container: never, later: () => number) => void]>([
    ["an array", () => [run], (array: unknown[], later) => array.push(later)],
    ["a literal", () => ({ run }), (literal: object, later) => Object.assign(literal, { later })],
    ["a map", () => new Map([["run", run]]), (map: Map<string, unknown>, later) => map.set("later", later)],
  ])(
    "rule 24: are recorded with what was added to them since they were passed before: %s",
    async (_, make, add) => {
      const store = selfCleaning(() => new Store(), { onOrphan: "ignore" });
      const later = (): number => 3;
      const container = make();
      store.put(container);
      add(container as never, later);
      store.put(container);
      expect([...store.inside(1)].at(-1)).toBe(later);
      await close(store);
    },
  );
});
