/* oxlint-disable unicorn/no-thenable, no-sparse-arrays -- such results are what is tested */
import { EventEmitter } from "node:events";
import { types } from "node:util";
import { describe, expect, it } from "vitest";
import { createChannel, selfCleaning } from "../../index.js";

/** A handle whose method `give` returns what `make` returns. */
function giving<T>(make: () => T): { give(): T } {
  return selfCleaning(() => ({ give: make }), { onOrphan: "ignore" });
}

const shown = <T>(value: T): T => giving(() => value).give();
const isFacade = (value: unknown): boolean => types.isProxy(value);

describe("rule 24: a result that is data stays the same object", () => {
  class Row {
    id = 1;
    name: string | null = null;
  }
  class Point {
    x = 1;
    area(): number {
      return this.x;
    }
  }

  it.each([
    ["an array of primitives", [1, "a", null, undefined, true, 1n, Symbol.iterator]],
    ["an array with holes", [1, , 3]],
    ["an empty array", []],
    ["a long array", Array.from({ length: 1_000 }, (_, index) => index)],
    ["rows", [{ a: 1 }, { a: 2 }]],
    ["nested literals", { a: { b: [1, { c: null }] } }],
    ["a literal without a prototype", Object.assign(Object.create(null) as object, { a: 1 })],
    ["an object of a class without methods", new Row()],
    ["objects of a class with methods", [new Point(), new Point()]],
    ["dates and errors", [new Date(0), new TypeError("no")]],
  ])("%s", (_, value) => {
    expect(shown<unknown>(value)).toBe(value);
  });
});

describe("rule 24: a result that delivers holds the handle, however much it looks like data", () => {
  const lines = createChannel<number>();

  it("an array of primitives with a function or a channel in a property", () => {
    expect(isFacade(shown(Object.assign([1, 2], { refresh: () => lines })))).toBe(true);
    expect(isFacade(shown(Object.assign([1, 2], { lines })).lines)).toBe(true);
    expect(isFacade(shown([[Object.assign([1], { lines })]])[0]?.[0]?.lines)).toBe(true);
  });

  it("a literal whose methods are not enumerable, or are behind a symbol", () => {
    const hidden = Object.defineProperty({ n: 1 }, "then", { value: () => undefined });
    const emitter = Object.defineProperties(
      { n: 1 },
      {
        on: { value: () => undefined },
        off: { value: () => undefined },
        emit: { value: () => undefined },
      },
    );
    const iterable = { n: 1, [Symbol.asyncIterator]: () => lines[Symbol.asyncIterator]() };
    expect([hidden, emitter, iterable].map((value) => isFacade(shown<unknown>(value)))).toEqual([
      true,
      true,
      true,
    ]);
    expect(isFacade(shown<unknown[]>([1, iterable])[1])).toBe(true);
  });

  it("an object of a class of which only primitive members were seen before", () => {
    class Result {
      value: unknown = 1;
    }
    class Client {
      connection: unknown = 1;
      query(): unknown {
        return this.connection;
      }
    }
    for (const make of [() => new Result(), () => new Client()]) {
      const plain = make();
      expect(shown(plain)).toBe(plain);
      const [first, second, third] = [lines, new EventEmitter(), () => lines].map((member) =>
        Object.assign(make(), Array.of("value" in plain ? { value: member } : { connection: member })[0]),
      );
      expect([first, second, third].map((value) => isFacade(shown<unknown>(value)))).toEqual([
        true,
        true,
        true,
      ]);
    }
    const listed = Object.assign(new Result(), {
      [Symbol.asyncIterator]: () => lines[Symbol.asyncIterator](),
    });
    const hidden = Object.defineProperty(new Client(), "then", { value: () => undefined });
    expect([listed, hidden].map((value) => isFacade(shown<unknown>(value)))).toEqual([true, true]);
  });

  it("a long array of which few elements are set", () => {
    for (const length of [101, 5_000]) {
      const byId: unknown[] = [];
      byId[length - 1] = lines;
      expect(isFacade(shown(byId)[length - 1])).toBe(true);
      expect(isFacade(shown({ byId }).byId[length - 1])).toBe(true);
    }
    expect(
      isFacade(shown(Object.assign(Array.from<unknown>({ length: 0 }), { 3: 1, 99: () => lines }))),
    ).toBe(true);
  });

  it("a literal or an object of a class that inherits a member which delivers", () => {
    class Defaults {}
    Object.assign(Defaults.prototype, { lines });
    const inheriting = [
      new Defaults() as { lines: unknown },
      Object.create({ lines }) as { lines: unknown },
      Object.assign(Object.create(Defaults.prototype) as { lines: unknown }, { n: 1 }),
    ];
    for (const value of inheriting) expect(isFacade(shown(value).lines)).toBe(true);
    expect(isFacade(shown([inheriting[1]])[0]?.lines)).toBe(true);
  });

  it("a proxy that makes its methods when they are read", () => {
    const remote = (target: object, other: unknown): object =>
      new Proxy(target, {
        get: (_, key) => (key === "subscribe" || key === "query" ? () => lines : other),
      });
    class Remote {}
    class Client {
      close(): void {}
    }
    for (const target of [{}, Object.create(null) as object, new Remote(), new Client()]) {
      const value = remote(target, undefined) as { query(): unknown };
      expect(isFacade(shown(value).query())).toBe(true);
      expect(isFacade(shown({ value }).value.query())).toBe(true);
    }
  });

  it("an object with methods, one of whose getters throws", () => {
    class Client {
      connection: unknown = 1;
      query(): unknown {
        return this.connection;
      }
    }
    const make = (connection: unknown): Client =>
      Object.defineProperty(Object.assign(new Client(), { connection }), "address", {
        enumerable: true,
        get: () => {
          throw new Error("not connected");
        },
      });
    expect(isFacade(shown(make(1)))).toBe(false);
    expect(isFacade(shown(make(lines)).query())).toBe(true);
    expect(isFacade(shown([make(lines)])[0]?.query())).toBe(true);
  });

  it("an object whose prototype has no constructor", () => {
    const prototype = { query: () => lines, connection: lines };
    expect(
      isFacade(shown(Object.create(prototype, { n: { value: lines, enumerable: true } }) as object)),
    ).toBe(true);
    const generator = (function* (): Generator {
      yield lines;
    })();
    expect(isFacade(shown(generator).next().value)).toBe(true);
  });
});

describe("rule 24: looking at a result", () => {
  it("runs each getter of a literal or an array once, though it may hold the handle", () => {
    let reads = 0;
    const make = (): object => ({
      get row() {
        reads += 1;
        return { a: [1] };
      },
    });
    giving(make).give();
    expect(reads).toBe(1);
    giving(() => [{ x: make() }]).give();
    expect(reads).toBe(2);
  });

  it("ends with the first 64 members of a long array", () => {
    let reads = 0;
    const rows = Array.from({ length: 1_000 }, () => ({
      get id() {
        return (reads += 1);
      },
    }));
    expect(shown(rows)).toBe(rows);
    expect(reads).toBeLessThanOrEqual(64);
  });

  it("takes a result that throws when it is read for data", () => {
    const throwing = {
      get a() {
        throw new Error("no");
      },
    };
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const list = [1, throwing, proxy];
    expect(shown<unknown>(throwing)).toBe(throwing);
    expect(giving(() => proxy).give() === proxy).toBe(true);
    expect(shown<unknown>(list)).toBe(list);
  });
});
