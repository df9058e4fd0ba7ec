import { readFileSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { lookAt, press } from "../../../test/support/watched-tree.js";
import { openScope } from "../../../test/support/open-scope.js";
import { sleep, spawn, type ScopeHandle } from "../../index.js";
import type { NodeInfo, Warning } from "../../inspect/index.js";
import { TreeFolder } from "../../inspect/fold-tree.js";
import { initialState, update, type State } from "./model.js";
import { createPaint } from "./paint.js";
import { pageSizeOf, render, type Size } from "./render.js";
import { widthOf } from "./width.js";

const colours = createPaint(true);
const screen = (state: State, size: Size = { columns: 80, rows: 24 }): string[] =>
  render(state, size, colours).map(stripVTControlCharacters);

const stuck: Warning = {
  code: "stuck",
  title: 'task "export" was cancelled 12 s ago and still runs',
  detail: ["started at shop/export.js:7", 'cancelled: explicit, at "shop", by shop/admin.js:31'],
  nodes: [1],
};

function shop(size = 8): ScopeHandle {
  const scope = openScope("shop");
  for (let index = 1; index <= size; index++)
    spawn(scope, (task) => sleep(task, 60_000), { name: `order ${index}` });
  spawn(scope, () => new Promise(() => {}), { name: "export" });
  return scope;
}

const sizes: readonly Size[] = [
  { columns: 80, rows: 24 },
  { columns: 200, rows: 60 },
  { columns: 40, rows: 10 },
  { columns: 20, rows: 5 },
  { columns: 10, rows: 3 },
  { columns: 1, rows: 1 },
];

const hostile = "\u001b[2J\u001b]0;title\u0007\r\n\u009b1A\u202e漢字🙂";

describe("every screen", () => {
  const keys = { tree: "", scopes: "t", details: "jd", warnings: "w", help: "h", filter: "/x", paused: "p" };
  for (const [name, pressed] of Object.entries(keys))
    it.each(sizes)(
      `${name} fits into $columns × $rows, and nothing in a name reaches the terminal`,
      async (size) => {
        const scope = openScope(hostile);
        spawn(scope, (task) => sleep(task, 1_000), { name: hostile.repeat(9) });
        const warning = { ...stuck, title: hostile, detail: [hostile] };
        let state = await lookAt(scope, press(await lookAt(scope), pressed));
        state = update(state, { type: "warnings", warnings: Array.from({ length: 9 }, () => warning) });
        const lines = render(state, size, colours);
        expect(lines).toHaveLength(size.rows);
        for (const line of lines) {
          // eslint-disable-next-line no-control-regex -- colours
          const text = line.replace(/\u001b\[[0-9;]*m/g, "");
          // eslint-disable-next-line no-control-regex -- what must not be there
          expect(text).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
          expect(widthOf(text)).toBeLessThanOrEqual(size.columns);
        }
      },
    );

  it("has no colours without colours, and still marks the selected row", async () => {
    const lines = render(await lookAt(shop()), { columns: 80, rows: 24 }, createPaint(false));
    const styled = lines.filter((line) => line.includes("\u001b"));
    expect(styled).toHaveLength(1);
    expect(styled[0]?.replaceAll("\u001b[7m", "").replaceAll("\u001b[0m", "")).toContain("▾ shop");
  });
});

describe("the tree", () => {
  it("begins with the process, the counts, and the warnings", async () => {
    const state = update(await lookAt(shop()), { type: "warnings", warnings: [stuck] });
    const [first, second, ...rest] = screen(state);
    expect(first).toMatch(/^bough inspect 4711 {2}node v20\.20\.0 shop\.js +\d\d:\d\d:\d\d$/);
    expect(second).toMatch(/^10 scopes {2}9 tasks: 9 running/);
    expect(rest.join("\n")).toMatch(
      /! task "export" was cancelled 12 s ago and still runs\n {4}started at shop\/export\.js:7\n {4}cancelled: explicit/,
    );
  });

  it("has one row for similar scopes, and one for each other scope", async () => {
    const lines = screen(await lookAt(shop()));
    expect(lines.find((line) => line.includes("order #"))).toMatch(/^ +8 +\d+ ms {5}order # {2}task +sleep/);
    expect(lines.find((line) => line.includes("export"))).toMatch(/^ +\d+ ms {5}export {2}task/);
  });

  it("keeps the selected row on the screen", async () => {
    const scope = shop(300);
    const size = { columns: 80, rows: 12 };
    let state = await lookAt(scope, press(await lookAt(scope), "t"));
    state = update(state, { type: "page", page: pageSizeOf(state, size) });
    expect(screen(state, size).join("\n")).not.toContain("order 150 ");
    for (const keys of ["G", "<pageup>", "k", "<home>", "<pagedown>"]) {
      state = press(state, keys);
      const marked = render(state, size, createPaint(false)).filter((line) => line.includes("\u001b[7m"));
      expect(marked).toHaveLength(1);
    }
  });

  it("shows how many scopes have no row", async () => {
    const scope = shop(1_200);
    expect(screen(await lookAt(scope, press(initialState("bough"), "t"))).join("\n")).toContain(
      "202 scopes in more rows are not shown",
    );
  });

  it("counts the warnings that have no room, instead of filling the screen with them", async () => {
    const warnings = Array.from({ length: 20 }, () => stuck);
    const lines = screen(update(await lookAt(shop()), { type: "warnings", warnings }));
    expect(lines.filter((line) => line.startsWith("! task"))).toHaveLength(5);
    expect(lines.join("\n")).toContain("15 more warnings: press w");
    expect(lines.join("\n")).toContain("order #");
  });

  it("reports an empty tree, and a filter without a match", async () => {
    const scope = shop();
    const none = await lookAt(scope, press(await lookAt(scope), "/nothing<return>"));
    expect(screen(none).join("\n")).toContain("no scope matches the filter");
    expect(screen(initialState("bough inspect 1")).join("\n")).toContain("…");
  });

  it("says where the event loop is blocked, and why the process does not answer", async () => {
    const state = await lookAt(shop());
    const { summary } = state;
    if (summary === undefined) throw new Error("no look");
    const blocked = update(state, {
      type: "summary",
      summary: { ...summary, blockedIn: "spin (app.js:12)" },
    });
    expect(screen(blocked).join("\n")).toContain("the event loop is blocked in spin (app.js:12)");
    const silent = update(state, { type: "problem", text: "Process 1 is busy in native code" });
    expect(screen(silent).join("\n")).toContain("Process 1 is busy in native code");
  });
});

describe("the details", () => {
  it("show why a scope is alive, its path, and its other properties", async () => {
    const scope = shop();
    const text = screen(await lookAt(scope, press(await lookAt(scope), "Gd"))).join("\n");
    expect(text).toMatch(/^export {2}task/m);
    expect(text).toContain("Its worker has not returned.");
    expect(text).toMatch(/^ {2}shop {2}handle\n {4}export {2}task/m);
    expect(text).toMatch(/^ {2}id +\d+/m);
  });
});

describe("the sample in the guide", () => {
  it("is what the view shows", () => {
    vi.useFakeTimers({ now: new Date("2026-11-26T09:41:07") });
    onTestFinished(() => void vi.useRealTimers());
    const at = Date.now();
    const node = (id: number, parent: number, info: Partial<NodeInfo>): NodeInfo => ({
      id,
      parent,
      name: "",
      kind: "task",
      state: "open",
      age: 186_000,
      cleanups: 0,
      waiters: 0,
      failures: 0,
      waitingForCleanup: false,
      ...info,
    });
    const cancelled = {
      state: "cancelling",
      reason: { kind: "explicit", scope: "shop/exports", message: "", at: at - 12_000 },
      age: 24_000,
    } as const;
    const nodes = [
      node(2, 1, { name: "shop", kind: "handle", spawnedAt: "shop/main.ts:12" }),
      ...Array.from({ length: 3_412 }, (_, index) =>
        node(10 + index, 2, {
          name: `order ${index}`,
          status: "running",
          age: 180_000,
          waits: [{ operation: "sleep", left: 41_000 }],
          spawnedAt: "shop/orders.ts:88",
        }),
      ),
      node(5_000, 2, {
        ...cancelled,
        name: "exports",
        kind: "handle",
        joining: true,
        spawnedAt: "shop/main.ts:20",
      }),
      node(5_001, 5_000, {
        ...cancelled,
        name: "export",
        status: "running",
        waitingForCleanup: true,
        spawnedAt: "shop/export.ts:7",
      }),
      ...Array.from({ length: 12 }, (_, index) =>
        node(6_000 + index, 2, {
          name: "GET /prices",
          kind: "request",
          age: 340,
          ownDeadline: at + 29_660,
          spawnedAt: "shop/main.ts:31",
        }),
      ),
    ];
    const folder = new TreeFolder({ folded: true, filter: "", closed: [] });
    for (const each of nodes) folder.add(each);
    const { rows, counts, omitted } = folder;
    const runtime = "node v22.12.0 main.js";
    const loopDelay = { p50: 0.1, p99: 1.2, max: 3.4 };
    const look = { at, rows, counts, omitted, runtime, loopDelay };
    let state = initialState("bough inspect 4711");
    state = update(state, { type: "summary", summary: { ...look, at: at - 1_000, created: 10_000 } });
    state = update(state, { type: "summary", summary: { ...look, created: 10_021 } });
    const warning: Warning = {
      code: "stuck",
      title: 'task "export" was cancelled 12 s ago and still runs',
      detail: [
        "started at shop/export.ts:7",
        'cancelled: explicit, at "shop/exports", by stopExport (/home/ann/shop/admin.ts:31:11)',
        "it reads no signal and has no callback: it cannot notice",
      ],
      nodes: [5_001],
    };
    state = update(state, { type: "warnings", warnings: [warning] });
    const sample = render(state, { columns: 104, rows: 16 }, (text) => text).map((line) => line.trimEnd());
    const guide = readFileSync(new URL("../../../../../docs/guide/observing.md", import.meta.url), "utf8");
    // If it differs, copy the received text into the guide.
    expect(guide.slice(guide.indexOf("\n### Live, in the terminal"))).toContain(`\n${sample.join("\n")}\n`);
  });
});
