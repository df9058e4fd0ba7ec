import { describe, expect, it } from "vitest";
import { lookAt, press } from "../../../test/support/watched-tree.js";
import { openScope } from "../../../test/support/open-scope.js";
import { createWatcher, flatten, snapshot } from "../../inspect/index.js";
import { createScope, sleep, spawn, type ScopeHandle } from "../../index.js";
import { toQuery, selectedIndex, update, visibleRows, type State } from "./model.js";

/** Three orders with a task each, one of another name, and something stuck. */
function shop(): ScopeHandle {
  const scope = openScope("shop", { grace: 0 });
  for (let order = 1; order <= 3; order++) {
    const own = createScope(scope, { name: `order ${order}`, onOrphan: "ignore" });
    spawn(own, (task) => sleep(task, 60_000), { name: "pack" });
  }
  spawn(scope, (task) => sleep(task, 60_000), { name: "a report", timeout: 30_000 });
  spawn(scope, () => new Promise(() => {}), { name: "stuck" });
  return scope;
}

const names = (state: State): string[] => visibleRows(state).map(({ name }) => name);
const selected = (state: State): string | undefined => {
  const rows = visibleRows(state);
  return rows[selectedIndex(state, rows)]?.name;
};

describe("the tree", () => {
  it("has the rows of the look, with the first one selected", async () => {
    const state = await lookAt(shop());
    expect(names(state)).toEqual(["shop", "order #", "pack", "a report", "stuck"]);
    expect(selected(state)).toBe("shop");
  });

  it.each([
    ["j", "order #"],
    ["jjk", "order #"],
    ["<down><down>", "pack"],
    ["<up>", "shop"],
    ["<end>", "stuck"],
    ["G", "stuck"],
    ["G<home>", "shop"],
    ["Gg", "shop"],
    ["<pagedown>", "pack"],
    ["<pagedown><pagedown><pagedown>", "stuck"],
    ["G<pageup>", "pack"],
  ])("after %s, another row is selected", async (keys, name) => {
    const state = update(await lookAt(shop()), { type: "page", page: 2 });
    expect(selected(press(state, keys))).toBe(name);
  });

  it("keeps the selected row where other rows come before it", async () => {
    const scope = shop();
    const state = press(await lookAt(scope), "G");
    spawn(scope, () => new Promise(() => {}), { name: "another" });
    expect(selected(await lookAt(scope, state))).toBe("stuck");
  });

  it("selects the row at the position of one that has disappeared", async () => {
    const scope = shop();
    const gone = createScope(scope, { name: "short" });
    const state = press(await lookAt(scope), "jjjjj");
    expect(selected(state)).toBe("short");
    await gone.close();
    expect(selected(await lookAt(scope, state))).toBe("stuck");
  });

  it("sorts the rows below each row by age, number, name and deadline", async () => {
    const state = await lookAt(shop());
    expect(names(press(state, "s"))).toEqual(["shop", "order #", "pack", "a report", "stuck"]);
    expect(names(press(state, "ss"))).toEqual(["shop", "a report", "order #", "pack", "stuck"]);
    expect(names(press(state, "sss"))).toEqual(["shop", "a report", "order #", "pack", "stuck"]);
    expect(press(state, "ssss").sort).toBe(state.sort);
  });

  it("closes and opens a row, at once and in the next look", async () => {
    const scope = shop();
    const closed = press(await lookAt(scope), "j<return>");
    expect(names(closed)).toEqual(["shop", "order #", "a report", "stuck"]);
    const looked = await lookAt(scope, closed);
    expect(visibleRows(looked)[1]).toMatchObject({ name: "order #", isClosed: true, hidden: 3 });
    const opened = await lookAt(scope, press(looked, "<return>"));
    expect(names(opened)).toContain("pack");
  });

  it("closes a row with ←, and selects its parent if there is nothing to close", async () => {
    const state = press(await lookAt(shop()), "jj<left>");
    expect(selected(state)).toBe("order #");
    expect(names(press(state, "<left>"))).not.toContain("pack");
    expect(names(press(state, "<left><right>"))).toContain("pack");
  });

  it("shows every scope as a row after t", async () => {
    const scope = shop();
    const state = await lookAt(scope, press(await lookAt(scope), "t"));
    expect(names(state)).toEqual(expect.arrayContaining(["order 1", "order 2", "order 3", "pack", "stuck"]));
    expect(toQuery(press(state, "t")).folded).toBe(true);
  });
});

describe("the filter", () => {
  it("applies while it is typed, when letters are not commands", async () => {
    const scope = shop();
    const state = press(await lookAt(scope), "/Stuqc<backspace><backspace>ck");
    expect(state.quit).toBe(false);
    expect(toQuery(state).filter).toBe("stuck");
    expect(names(await lookAt(scope, state))).toEqual(["shop", "stuck"]);
  });

  it("remains after Enter, and is removed by Escape", async () => {
    const state = press(await lookAt(shop()), "/stuck<return>");
    expect(state.filterInput).toBeUndefined();
    expect(toQuery(state).filter).toBe("stuck");
    expect(toQuery(press(state, "<escape>")).filter).toBe("");
    expect(toQuery(press(state, "/x<escape>")).filter).toBe("stuck");
    expect(toQuery(press(state, "/<ctrl-u>")).filter).toBe("");
  });

  it("ignores control characters", async () => {
    const state = update(press(await lookAt(shop()), "/a"), {
      type: "key",
      key: { text: "\u001b", name: "x" },
    });
    expect(state.filterInput).toBe("a");
  });
});

describe("the other screens", () => {
  it("d opens the details of the selected row, and d, q and Escape close them", async () => {
    const scope = shop();
    const state = await lookAt(scope, press(await lookAt(scope), "Gd"));
    expect(state.screen).toBe("details");
    expect(state.detail?.name).toBe("stuck");
    for (const key of ["d", "q", "<escape>"]) {
      const closed = press(state, key);
      expect(closed).toMatchObject({ screen: "tree", detailOf: undefined, quit: false });
      expect(selected(closed)).toBe("stuck");
    }
  });

  it("says that the scope of the details has ended, when it has", async () => {
    const scope = shop();
    const short = createScope(scope, { name: "short" });
    const open = press(await lookAt(scope), "jjjjjd");
    await short.close();
    const state = await lookAt(scope, open);
    expect(state.screen).toBe("details");
    expect(state.detail).toBeUndefined();
  });

  it("w lists the warnings, and Enter opens the scope that one is about", async () => {
    const scope = shop();
    const watcher = createWatcher({ deafAfter: 0 });
    const look = () => ({ at: Date.now(), nodes: flatten(snapshot(scope)) });
    watcher.add(look());
    const warnings = watcher.add(look());
    expect(warnings).toHaveLength(1);
    const state = update(press(await lookAt(scope), "w"), { type: "warnings", warnings });
    const details = await lookAt(scope, press(state, "<return>"));
    expect(details.detail?.name).toBe("stuck");
  });

  it("h and ? show the keys, and the same key returns to the tree", async () => {
    const state = await lookAt(shop());
    for (const key of ["h", "?"]) {
      expect(press(state, key).screen).toBe("help");
      expect(press(state, key + key).screen).toBe("tree");
    }
  });
});

it.each(["q", "<ctrl-c>", "/a<ctrl-c>", "w<ctrl-c>"])("the keys %s quit the display", async (keys) => {
  expect(press(await lookAt(shop()), keys).quit).toBe(true);
});

it("the key p pauses the display, and continues it when pressed again", async () => {
  const state = await lookAt(shop());
  expect(press(state, "p").paused).toBe(true);
  expect(press(state, "pp").paused).toBe(false);
});

it("computes how many scopes started and ended per second, from looks that are far enough apart", async () => {
  const state = await lookAt(shop());
  const { summary } = state;
  if (summary === undefined) throw new Error("no look");
  const counts = { ...summary.counts, scopes: summary.counts.scopes + 2 };
  const next = { ...summary, at: summary.at + 2_000, created: summary.created + 22, counts };
  const later = update(state, { type: "summary", summary: next });
  expect(later.rates).toEqual({ created: 11, settled: 10 });
  // Right after it, because of a key.
  const again = update(later, { type: "summary", summary: { ...next, at: next.at + 10 } });
  expect(again.rates).toEqual({ created: 11, settled: 10 });
});

it("keeps its content while the process can't be inspected", async () => {
  const scope = shop();
  const state = update(await lookAt(scope), { type: "problem", text: "busy in native code" });
  expect(state.problem).toBe("busy in native code");
  expect(names(state)).toContain("stuck");
  expect((await lookAt(scope, state)).problem).toBeUndefined();
});
