import { expect, it } from "vitest";
import { sleep } from "../flow/time/sleep.js";
import { createScope } from "../task/create-scope.js";
import type { ScopeHandle } from "../task/handle.js";
import { spawn } from "../task/spawn.js";
import { flatten, snapshot, type NodeInfo } from "./index.js";
import { MAX_ROWS, TreeFolder, type FoldQuery } from "./fold-tree.js";
import { openScope } from "../../test/support/open-scope.js";

function fold(nodes: readonly NodeInfo[], query: Partial<FoldQuery> = {}): TreeFolder {
  const folder = new TreeFolder({ folded: true, filter: "", closed: [], ...query });
  for (const node of nodes) folder.add(node);
  return folder;
}

const nodesOf = (scope: ScopeHandle): NodeInfo[] => flatten(snapshot(scope));

/** `2 × job #` below its row above, indented. */
function lines({ rows }: TreeFolder): string[] {
  const depths: number[] = [];
  return rows.map(({ parent, name, count, hidden }, index) => {
    depths[index] = parent < 0 ? 0 : (depths[parent] as number) + 1;
    const many = count > 1 ? `${count} × ` : "";
    return `${"  ".repeat(depths[index])}${many}${name}${hidden > 0 ? ` (${hidden} hidden)` : ""}`;
  });
}

/** Three orders with two tasks each, and a stuck task. */
function shop(): ScopeHandle {
  const scope = openScope("shop");
  for (let order = 1; order <= 3; order++)
    spawn(
      scope,
      async (task) => {
        spawn(task, (own) => sleep(own, 60_000), { name: "pack" });
        spawn(task, () => new Promise(() => {}), { name: "send" });
        await sleep(task, 60_000);
      },
      { name: `order ${order}` },
    );
  spawn(scope, () => new Promise(() => {}), { name: "stuck" });
  return scope;
}

it("shows similar scopes as one row, and the similar scopes below them, too", () => {
  expect(lines(fold(nodesOf(shop())))).toEqual([
    "shop",
    "  3 × order #",
    "    3 × pack",
    "    3 × send",
    "  stuck",
  ]);
});

it("does not put scopes in one row that differ in their state, their wait or where they are", () => {
  const scope = openScope("server");
  const jobs = ["first", "second"].map((name) => createScope(scope, { name, onOrphan: "ignore" }));
  for (const job of jobs) spawn(job, (task) => sleep(task, 60_000), { name: "work" });
  spawn(scope, (task) => sleep(task, 60_000), { name: "work" });
  spawn(scope, () => new Promise(() => {}), { name: "work" });
  const cancelled = spawn(scope, () => new Promise(() => {}), { name: "work" });
  cancelled.cancel();
  expect(lines(fold(nodesOf(scope)))).toEqual([
    "server",
    "  first",
    "    work",
    "  second",
    "    work",
    "  work",
    "  work",
    "  work",
  ]);
});

it("makes a row for every scope if the query says so", () => {
  const names = lines(fold(nodesOf(shop()), { folded: false }));
  expect(names).toHaveLength(11);
  expect(names.filter((line) => line === "    pack")).toHaveLength(3);
});

it("shows the oldest scope and the earliest deadline in a row, and keeps its key in the next look", () => {
  const scope = openScope("server", { timeout: 50_000 });
  for (const timeout of [60_000, 40_000, 70_000])
    spawn(scope, (task) => sleep(task, 60_000), { name: `job ${timeout}`, timeout });
  const nodes = nodesOf(scope).map((node, index) => (index === 2 ? { ...node, age: 99_999 } : node));
  const [first, jobs] = fold(nodes).rows;
  expect(jobs?.node).toBe(nodes[2]);
  expect(jobs?.deadline).toBe(nodes[2]?.ownDeadline);
  expect(first?.deadline).toBe(nodes[0]?.ownDeadline);
  expect(fold(nodesOf(scope)).rows.map(({ key }) => key)).toEqual([first?.key, jobs?.key]);
});

it("shows only scopes that contain a text, and their ancestors", () => {
  const nodes = nodesOf(shop());
  expect(lines(fold(nodes, { filter: "stuck" }))).toEqual(["shop", "  stuck"]);
  expect(lines(fold(nodes, { filter: "pack" }))).toEqual(["shop", "  3 × order #", "    3 × pack"]);
  expect(lines(fold(nodes, { filter: "order 2", folded: false }))).toEqual(["shop", "  order 2"]);
  expect(lines(fold(nodes, { filter: "none" }))).toEqual([]);
  expect(fold(nodes, { filter: "none" }).counts.scopes).toBe(11);
});

it("counts the scopes in a closed row, and does not send them", () => {
  const nodes = nodesOf(shop());
  const [, orders] = fold(nodes).rows;
  expect(lines(fold(nodes, { closed: [orders?.key ?? ""] }))).toEqual([
    "shop",
    "  3 × order # (6 hidden)",
    "  stuck",
  ]);
});

it("counts the scopes without a row because there are too many, and their descendants", () => {
  const scope = openScope("shop");
  for (let index = 0; index < MAX_ROWS + 5; index++) {
    const job = createScope(scope, { name: "job", onOrphan: "ignore" });
    spawn(job, () => new Promise(() => {}));
  }
  const { rows, omitted, counts } = fold(nodesOf(scope), { folded: false });
  expect(rows).toHaveLength(MAX_ROWS);
  expect(omitted).toBe(counts.scopes - MAX_ROWS);
});

it("counts the tasks by their state", () => {
  const scope = openScope("shop");
  const limited = createScope(scope, { name: "limited", concurrency: 1, onOrphan: "ignore" });
  for (let index = 0; index < 3; index++) spawn(limited, () => new Promise(() => {}));
  spawn(scope, () => new Promise(() => {}), { name: "stuck" }).cancel();
  spawn(scope, (task) => void spawn(task, () => new Promise(() => {})), { name: "joining" });
  expect(fold(nodesOf(scope)).counts).toEqual({
    scopes: 8,
    requests: 0,
    tasks: 6,
    running: 2,
    queued: 2,
    cancelling: 1,
    closing: 1,
  });
});

it("keeps the details of one scope: its ancestors and its children", () => {
  const nodes = nodesOf(shop());
  const order = nodes.find(({ name }) => name === "order 2");
  const { detail } = fold(nodes, { detail: order?.id ?? 0 });
  expect(detail?.map(({ name }) => name)).toEqual(["shop", "order 2", "pack", "send"]);
  expect(fold(nodes, { detail: -1 }).detail).toBeUndefined();
});

it("folds a tree of 20,000 levels without looking at all of them for each scope", () => {
  const [root] = nodesOf(openScope("deep"));
  const nodes = Array.from({ length: 20_000 }, (_, index) => ({
    ...(root as NodeInfo),
    id: index + 1,
    ...(index === 0 ? {} : { parent: index }),
  }));
  const { rows, omitted } = fold(nodes);
  expect(rows.length + omitted).toBe(20_000);
});
