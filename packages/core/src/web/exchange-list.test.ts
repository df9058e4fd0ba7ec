import { describe, expect, it } from "vitest";
import { ExchangeList, type Listed } from "./exchange-list.js";

class Entry implements Listed {
  later: Listed | undefined = undefined;
  earlier: Listed | undefined = undefined;
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

function filled(names: string): { readonly list: ExchangeList<Entry>; readonly entries: readonly Entry[] } {
  const list = new ExchangeList<Entry>();
  const entries = names.split("").map((name) => new Entry(name));
  for (const entry of entries) list.add(entry);
  return { list, entries };
}

const namesIn = (list: ExchangeList<Entry>): string =>
  list
    .takeAll()
    .map(({ name }) => name)
    .join("");

describe("the list of requests", () => {
  it("yields each request once, in the order of arrival", () => {
    const { list } = filled("abc");
    expect(namesIn(list)).toBe("abc");
    expect(namesIn(list)).toBe("");
  });

  it.each([
    ["the first", "a", "bcd"],
    ["the last", "d", "abc"],
    ["one between others", "b", "acd"],
    ["all but one, the newest last", "abd", "c"],
    ["all", "dbac", ""],
  ])("does not yield requests that were removed: %s", (_which, removed, left) => {
    const { list, entries } = filled("abcd");
    for (const name of removed) list.remove(entries.find((entry) => entry.name === name) as Entry);
    expect(namesIn(list)).toBe(left);
  });

  it("says whether a request was in it", () => {
    const { list, entries } = filled("abc");
    const [first] = entries as [Entry, Entry, Entry];
    expect(list.remove(first)).toBe(true);
    expect(list.remove(first)).toBe(false);
    expect(list.all().map(({ name }) => name)).toEqual(["b", "c"]);
  });

  it("keeps no reference to a removed request, which keeps none to the list", () => {
    const { list, entries } = filled("abc");
    const [, second] = entries as [Entry, Entry, Entry];
    list.remove(second);
    expect(second).toMatchObject({ later: undefined, earlier: undefined });
    expect(namesIn(list)).toBe("ac");
  });

  it("ignores the removal of one that is in no list", () => {
    const { list } = filled("ab");
    expect(list.remove(new Entry("e"))).toBe(false);
    expect(namesIn(list)).toBe("ab");
  });
});
