import { describe, expect, it } from "vitest";
import { createScope, createSemaphore, sleep, spawn, type Scope } from "../index.js";
import { createWatcher, flatten, snapshot, type Look, type NodeInfo } from "../inspect/index.js";
import { detailOf } from "./detail.js";
import { LiveTree } from "./live-tree.js";
import { LocalSource } from "./local-source.js";
import { TreeCache } from "./tree-cache.js";
import { LogHistogram } from "./log-histogram.js";
import { findRows, treeRows } from "./rows.js";
import { TreeWatcher } from "./tree-watcher.js";
import { frameOf, warningRow } from "./page-data.js";
import { openScope } from "../../test/support/open-scope.js";

/** A source whose looks are given. */
const sourceOf = (...looks: readonly (readonly Partial<NodeInfo>[])[]) => {
  let next = 0;
  return {
    async look(): Promise<Look> {
      const nodes = (looks[Math.min(next, looks.length - 1)] ?? []) as NodeInfo[];
      return { at: 1_000 * ++next, nodes };
    },
  };
};

const node = (id: number, more: Partial<NodeInfo> = {}): NodeInfo => ({
  id,
  ...(id === 1 ? {} : { parent: 1 }),
  name: id === 1 ? "server" : `order ${id}`,
  kind: id === 1 ? "handle" : "task",
  state: "open",
  ...(id === 1 ? {} : { status: "running" as const }),
  age: 100,
  listens: ["signal"],
  cleanups: 0,
  waiters: 0,
  failures: 0,
  waitingForCleanup: false,
  ...more,
});

const orders = (from: number, to: number, more?: Partial<NodeInfo>): NodeInfo[] =>
  Array.from({ length: to - from }, (_, index) => node(from + index, more));

const rowsOf = (tree: LiveTree, ...open: string[]) =>
  treeRows(tree, new Set(open), new Map()).map((row) =>
    row.type === "more"
      ? `${row.left} more`
      : row.type === "group"
        ? `${row.children} × ${row.name}`
        : row.name,
  );

/** A tree after a look at each of these. */
async function treeAfter(...looks: readonly (readonly Partial<NodeInfo>[])[]): Promise<LiveTree> {
  const tree = new LiveTree();
  const source = sourceOf(...looks);
  for (const _ of looks) await tree.update(source);
  return tree;
}

describe("the tree from look to look", () => {
  it("a scope that has settled is no longer counted, listed or found", async () => {
    const tree = await treeAfter([node(1), ...orders(2, 12)], [node(1), ...orders(10, 14)]);
    expect(tree.counts).toMatchObject({ scopes: 5, tasks: 4 });
    expect(rowsOf(tree)).toEqual(["server", "order 10", "order 11", "order 12", "order 13"]);
    expect(detailOf(tree, 2, false)).toBeUndefined();
    expect(await findRows(tree, "order", 1)).toMatchObject({ total: 4 });
  });

  it("a scope that changes moves to the others that are like it", async () => {
    const waiting = { waits: [{ operation: "receive" }] };
    const tree = await treeAfter(
      [node(1), ...orders(2, 22)],
      [node(1), ...orders(2, 12), ...orders(12, 22, waiting)],
    );
    expect(rowsOf(tree)).toEqual(["server", "10 × order #", "10 × order #"]);
    const frame = await frameOf(tree, [], undefined);
    expect(frame.groups).toMatchObject([
      { name: "order #", count: 20, doing: "10 running, 10 receive" },
      { name: "server", count: 1 },
    ]);
  });

  it.each<[string, Partial<NodeInfo>, Partial<NodeInfo>]>([
    ["status", { status: "queued" }, { status: "running" }],
    ["failures", {}, { failures: 3 }],
    ["note", { note: "host a" }, { note: "host b" }],
    ["status of the answer", requestOf(), requestOf(200)],
    ["deadline", {}, { ownDeadline: 9_000 }],
    ["place in a queue", queuedAt(2), queuedAt(1)],
    ["data", { annotations: { job: { state: 1 } } }, { annotations: { job: { state: 2 } } }],
    ["reason", { reason: reasonAt(1) }, { reason: reasonAt(2) }],
    ["holder of what it waits for", heldBy(7), heldBy(8)],
    ["a field that is gone", { grace: 5 }, {}],
  ])("a change is seen: %s", async (_, before, after) => {
    const tree = await treeAfter([node(1), node(2, before)], [node(1), node(2, after)]);
    expect(tree.byId.get(2)?.info).toEqual(node(2, after));
  });

  it("a scope that only gets older keeps its description, and its age and remaining time are right", async () => {
    const sleeping = (age: number, left: number) => node(2, { age, waits: [{ operation: "sleep", left }] });
    const tree = await treeAfter([node(1), sleeping(100, 9_000)], [node(1), sleeping(3_100, 6_000)]);
    expect(tree.byId.get(2)?.info.age).toBe(100);
    const [, row] = treeRows(tree, new Set(), new Map());
    expect(row).toMatchObject({ age: 3_100, wait: "sleep, 6 s left" });
  });

  it("a sleep that follows another one counts as a different wait", async () => {
    const sleeping = (age: number, left: number) => node(2, { age, waits: [{ operation: "sleep", left }] });
    const tree = await treeAfter([node(1), sleeping(100, 1_000)], [node(1), sleeping(600, 1_000)]);
    const [, row] = treeRows(tree, new Set(), new Map());
    expect(row).toMatchObject({ wait: "sleep, 1 s left" });
  });

  it("scopes that come and go under other names leave nothing behind", async () => {
    const tree = new LiveTree();
    for (let look = 0; look < 5; look++) {
      const jobs = orders(2 + look * 100, 102 + look * 100).map((each) => ({
        ...each,
        name: wordOf(each.id),
      }));
      await tree.update(sourceOf([node(1), ...jobs]));
    }
    expect(tree.byId.size).toBe(101);
    expect([...tree.places()].length).toBe(101);
    expect([...tree.groups()].length).toBe(101);
    expect(tree.byId.get(1)?.siblingGroups?.size).toBe(100);
  });

  it("names that differ in a number or a random id are alike", async () => {
    const names = [
      "job 12",
      "job 7",
      "job 3f2a9c4e",
      "job 0f9b8c7d-1a2b-4c3d-8e9f-001122334455",
      "job 4",
      "job 5",
    ];
    const tree = await treeAfter([node(1), ...names.map((name, index) => node(index + 2, { name }))]);
    expect(rowsOf(tree)).toEqual(["server", "6 × job #"]);
  });
});

describe("looks that cost much", () => {
  it("are taken in parts, between which the process does other things", async () => {
    const scope = openScope("server");
    for (let n = 0; n < 30_000; n++) spawn(scope, (task) => sleep(task, 3_600_000), { name: `order ${n}` });
    let turns = 0;
    let isOver = false;
    const other = (): void => {
      turns++;
      if (!isOver) setImmediate(other);
    };
    setImmediate(other);
    let parts = 0;
    await new LocalSource(scope).read(() => void parts++);
    isOver = true;
    expect(parts).toBeGreaterThan(3);
    expect(turns).toBeGreaterThanOrEqual(parts - 1);
  });

  const source = (spent: number) => {
    const counted = {
      looks: 0,
      look: () => Promise.reject<Look>(new Error("it is read in parts")),
      async read(visit: (nodes: readonly NodeInfo[]) => void) {
        counted.looks++;
        visit([node(1)]);
        return { at: 1, spent };
      },
    };
    return counted;
  };
  const sizeOf = (tree: LiveTree): number => tree.byId.size;

  it("are followed by a pause of twenty times as long, in which questions get the last one", async () => {
    const counted = source(3_600_000);
    const cache = new TreeCache(counted);
    expect(await cache.use(0, sizeOf)).toBe(1);
    expect(cache.pause).toBeGreaterThan(19 * 3_600_000);
    expect(cache.pause).toBeLessThanOrEqual(20 * 3_600_000);
    expect(await cache.use(1, sizeOf)).toBe(1);
    expect(counted.looks).toBe(1);
    await cache.use(0, sizeOf);
    expect(counted.looks).toBe(2);
  });

  it("are forgotten with the last page: the next one begins at once", async () => {
    const counted = source(3_600_000);
    const cache = new TreeCache(counted);
    await cache.use(0, sizeOf);
    cache.forget();
    expect(cache.pause).toBe(0);
    expect(await cache.use(500, sizeOf)).toBe(1);
    expect(counted.looks).toBe(2);
  });

  it("a failed look rejects for its callers, and the next one starts from scratch", async () => {
    let looks = 0;
    const failing = new TreeCache({
      look: () =>
        ++looks === 1 ? Promise.reject(new Error("busy")) : Promise.resolve({ at: 1, nodes: [node(1)] }),
    });
    await expect(failing.use(0, sizeOf)).rejects.toThrow("busy");
    expect(await failing.use(500, sizeOf)).toBe(1);
  });
});

describe("warnings in a tree of any size", () => {
  /** Something wrong of each kind among many scopes that are not. */
  async function plant(): Promise<Scope> {
    const scope = openScope("server");
    const never = (): Promise<never> => new Promise(() => {});
    for (let n = 0; n < 3_000; n++) spawn(scope, (task) => sleep(task, 3_600_000), { name: `order ${n}` });
    const stuck = createScope(scope, { name: "exports", grace: 0, onError: () => {} });
    spawn(stuck, never, { name: "export" });
    stuck.cancel();
    const [one, other] = [createSemaphore(1), createSemaphore(1)];
    for (const [name, first, second] of [["a", one, other] as const, ["b", other, one] as const])
      spawn(
        scope,
        async (task) => {
          using _held = await first.acquire(task);
          await Promise.resolve();
          using _also = await second.acquire(task);
        },
        { name },
      );
    spawn(scope, never, { name: "deaf" });
    await Promise.resolve();
    return scope;
  }

  it("are those that a look at all scopes finds", async () => {
    const scope = await plant();
    const aged = (nodes: readonly NodeInfo[]) => nodes.map((each) => ({ ...each, age: each.age + 100_000 }));
    const look = (): Look => ({ at: Date.now() + 100_000, nodes: aged(flatten(snapshot(scope))) });
    const all = createWatcher();
    const watcher = new TreeWatcher(false);
    const tree = new LiveTree();
    const found: string[][] = [];
    for (let n = 0; n < 2; n++) {
      const taken = look();
      await tree.update({ look: async () => taken });
      found.push(
        all.add(taken).map(({ title }) => title),
        watcher.find(tree).map(({ title }) => title),
      );
    }
    expect(found[3]?.toSorted()).toEqual(found[2]?.toSorted());
    expect(found[3]).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/"export" was cancelled/),
        expect.stringMatching(/^2 scopes wait for each other's permits/),
        expect.stringMatching(/"deaf" would not notice/),
      ]),
    );
    // The point of it: few of the scopes are looked at.
    expect(tree.suspects.nodes((parent, isWanted) => tree.findChild(parent, isWanted)).length).toBeLessThan(
      20,
    );
  });

  it("a parent that waits for its children is not taken for blocked because one of them is", async () => {
    const joining = node(2, { joining: true, waits: undefined as never, listens: ["signal"] });
    const held = (id: number, by: number) =>
      node(id, { parent: 2, waits: [{ operation: "acquire", heldBy: [by] }], listens: ["wait"] });
    const free = node(5, { parent: 2, waits: [{ operation: "sleep", left: 5_000 }], listens: ["wait"] });
    const watch = async (...nodes: NodeInfo[]): Promise<string[]> => {
      const watcher = new TreeWatcher(false);
      const tree = new LiveTree();
      await tree.update(sourceOf([node(1), ...nodes]));
      watcher.find(tree);
      return watcher.find(tree).map(({ code }) => code);
    };
    expect(await watch(joining, held(3, 4), held(4, 2), free)).toEqual([]);
    expect(await watch(joining, held(3, 4), held(4, 2))).toEqual(["deadlock"]);
  });

  it.each([false, true])(
    "name what keeps failing, and its error only if causes are shown: %s",
    async (causes) => {
      const survived = { restarts: 400, kept: 0, lastMinute: 60, error: "the secret value" };
      const watcher = new TreeWatcher(causes);
      const tree = await treeAfter([
        node(1),
        node(2, { kind: "scope", status: undefined as never, survived }),
      ]);
      watcher.find(tree);
      const [warning] = watcher.find(tree).map(warningRow);
      expect(warning).toMatchObject({
        code: "failures",
        title: expect.stringMatching(/was restarted 400 times/),
      });
      expect(JSON.stringify(warning).includes("secret")).toBe(causes);
    },
  );

  it("growth is counted for the whole tree", async () => {
    const watcher = new TreeWatcher(false);
    const tree = new LiveTree();
    let titles: string[] = [];
    for (let look = 1; look <= 8; look++) {
      await tree.update(sourceOf([node(1), ...orders(2, 2 + 2_000 * look)]));
      titles = watcher.find(tree).map((warning) => warningRow(warning).title);
    }
    expect(titles).toEqual(['"order #" becomes more and more: 16000 now']);
  });

  it("report that there are too many suspects to judge all of them", async () => {
    const deaf = { listens: undefined as never, age: 60_000 };
    const few = await treeAfter([node(1), ...orders(2, 102, deaf)]);
    const many = await treeAfter([node(1), ...orders(2, 2_002, deaf)]);
    expect((await frameOf(few, [], undefined)).partial).toBeUndefined();
    expect((await frameOf(many, [], undefined)).partial).toBe(true);
  });
});

describe("percentiles of durations", () => {
  it.each([
    ["short", (n: number) => 0.002 * n],
    ["mixed", (n: number) => 1.01 ** n],
    ["long", (n: number) => 60_000 * n],
  ])("are right within 4 %%: %s", (_, value) => {
    const histogram = new LogHistogram();
    const values = Array.from({ length: 1_000 }, (_none, index) => value(index + 1));
    for (const each of values) histogram.add(each);
    for (const [index, found] of histogram.percentiles([0.5, 0.95, 0.99]).entries()) {
      const exact = values[[500, 950, 990][index]! - 1]!;
      expect(Math.abs(found / exact - 1)).toBeLessThan(0.04);
    }
  });

  it("zero, invalid and infinite durations are handled", () => {
    const histogram = new LogHistogram();
    expect(histogram.percentiles([0.5])).toEqual([0]);
    for (const each of [0, -1, Number.NaN, Infinity, 1e300]) histogram.add(each);
    expect(histogram.count).toBe(5);
    histogram.clear();
    expect(histogram.count).toBe(0);
  });
});

function requestOf(status?: number): Partial<NodeInfo> {
  return {
    kind: "request",
    request: { method: "GET", route: "/", ...(status === undefined ? {} : { status }) },
  };
}

function queuedAt(position: number): Partial<NodeInfo> {
  return { waits: [{ operation: "acquire", position, of: 4 }] };
}

function heldBy(id: number): Partial<NodeInfo> {
  return { waits: [{ operation: "acquire", heldBy: [id] }] };
}

function reasonAt(at: number): NonNullable<NodeInfo["reason"]> {
  return { kind: "explicit", scope: "server", message: "cancelled", at };
}

/** A name without digits for a number. */
const wordOf = (id: number): string =>
  String(id).replace(/\d/g, (digit) => "abcdefghij".charAt(Number(digit)));
