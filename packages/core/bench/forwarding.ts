import { close, selfCleaning } from "./bough.js";
import { collect, interleave, timed, type Group } from "./harness.js";
import { rounds } from "./options.js";

const COUNT = 1_000_000;

class Counter {
  #count = 0;
  add(by: number): number {
    this.#count = (this.#count + by) | 0;
    return this.#count;
  }
  chain(): this {
    return this;
  }
  get count(): number {
    return this.#count;
  }
}

/** The same by hand. */
class Facade {
  readonly #inner: Counter;
  constructor(inner: Counter) {
    this.#inner = inner;
  }
  add(by: number): number {
    return this.#inner.add(by);
  }
}

function proxied(inner: Counter): Counter {
  return new Proxy(inner, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
}

interface Adds {
  add(by: never): number;
}

let loops = 0;

/**
 * Each with a loop of its own, so that no two share what the engine learns of a call: it tells them by their source.
 *
 * @param argument - The source of what is passed.
 */
function adding(counter: Adds, argument = "index & 1"): () => number {
  const source = `
    let sum = ${loops++} & 0;
    for (let index = 0; index < count; index++) sum = (sum + counter.add(${argument})) | 0;
    return sum;`;
  // oxlint-disable-next-line typescript/no-implied-eval -- a function literal here would be one for all
  const loop = new Function("counter", "count", "item", "Item", source) as (
    counter: Adds,
    count: number,
    item: Item,
    type: typeof Item,
  ) => number;
  return () => loop(counter, COUNT, item, Item);
}

class Item {
  readonly size = 1;
  area(): number {
    return this.size * this.size;
  }
}

/** Apart from {@link Counter}: what it adds are numbers only. */
class Taker {
  #count = 0;
  add(_item: unknown): number {
    this.#count = (this.#count + 1) | 0;
    return this.#count;
  }
}

const item = new Item();

const plain = "the method itself";
const handle = selfCleaning(() => new Counter(), { onOrphan: "ignore" });
const taker = selfCleaning(() => new Taker(), { onOrphan: "ignore" });
const literal = selfCleaning(() => ({ n: 0, add: (by: number): number => by + 1 }), { onOrphan: "ignore" });

/** The cost that the handle of `selfCleaning` adds to a call. */
export const forwarding: Group = {
  name: "forwarding",
  async run(progress) {
    collect();
    const chain = (): void => {
      for (let index = 0; index < COUNT; index++) handle.chain();
    };
    const cases = [
      timed(plain, COUNT, adding(new Counter())),
      timed("a facade by hand", COUNT, adding(new Facade(new Counter()))),
      timed("bough: selfCleaning", COUNT, adding(handle)),
      timed("bough: selfCleaning, return this", COUNT, chain),
      timed("bough: selfCleaning, a function in a field", COUNT, adding(literal)),
      timed("bough: selfCleaning, an object as argument", COUNT, adding(taker, "item")),
      timed("bough: selfCleaning, a new object as argument", COUNT, adding(taker, "new Item()")),
      timed("bough: selfCleaning, a literal as argument", COUNT, adding(taker, "{ a: index }")),
      timed("a Proxy", COUNT, adding(proxied(new Counter()))),
    ];
    const rows = await interleave(cases, rounds(40, 10), rounds(10, 5), progress);
    await Promise.all([close(handle), close(taker), close(literal)]);
    return [
      {
        title: "Calling a method of an object that cleans up after itself",
        metrics: [{ name: "a call", unit: "ns" }],
        base: plain,
        rows,
        targets: [],
        notes: [],
      },
    ];
  },
};
