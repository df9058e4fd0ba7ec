// The page of the inspector: its state, how it is shown, and the actions of the user.

import { Charts } from "./charts.js";
import { hideDetail, showDetail } from "./detail.js";
import { byId, count, duration, setAttribute, setText, timeOfDay } from "./dom.js";
import { difference, History } from "./history.js";
import { List } from "./list.js";
import { connect, question, setConnection } from "./server.js";
import { showCounts, showWarnings } from "./summary.js";
import { columns, differenceRow, endedRows, groupRow, runningRow, treeRow } from "./tables.js";

const views = ["tree", "groups", "requests", "time", "difference"];

/**
 * What the page shows.
 *
 * @type {Record<string, any>}
 */
const state = {
  view: "tree",
  filter: "",
  /** The moment that is shown: the newest one, or one of the time line. */
  frame: undefined,
  tree: undefined,
  requests: undefined,
  toggled: new Set(),
  pages: new Map(),
  /** The ids of the requests whose tasks are shown. */
  opened: new Set(),
  /** The key of the selected row, and the id of the scope that is shown in detail. */
  selected: undefined,
  detail: undefined,
  /** Whether the page stays at `frame`. */
  paused: false,
  marks: { a: undefined, b: undefined },
};

const history = new History();
const list = new List(byId("scroller"), byId("table"), (row, part) => press(row, part));
const charts = new Charts(byId("charts"), (at) => show(history.near(at)));

// ---- showing the state

function showFrame() {
  const { frame } = state;
  if (frame === undefined) return;
  showWarnings(frame, select);
  showCounts(frame);
  showTime();
  showView();
  if (state.paused) return;
  if (state.view === "tree") void loadTree();
  if (state.view === "requests") void loadRequests();
  if (state.detail !== undefined) void updateDetail();
}

function showTime() {
  const { frame, paused, marks } = state;
  const { moments } = history;
  const newest = moments.at(-1);
  const slider = byId("moment");
  slider.max = String(moments.length - 1);
  slider.value = String(moments.indexOf(frame));
  const ago = newest === undefined ? 0 : newest.at - frame.at;
  const words = paused
    ? `${timeOfDay(frame.at)}${ago > 0 ? `, ${duration(ago)} before the newest` : ""}`
    : "now";
  setAttribute(slider, "aria-valuetext", words);
  setText(byId("when"), words);
  setText(byId("pause"), paused ? "Resume" : "Pause");
  setAttribute(byId("pause"), "aria-pressed", String(paused));
  for (const name of ["a", "b"])
    setText(
      byId(`mark-${name}`),
      `Mark ${name.toUpperCase()}${marks[name] === undefined ? "" : ` ${timeOfDay(marks[name].at)}`}`,
    );
}

function showView() {
  const { view, frame } = state;
  byId("charts").hidden = view !== "time";
  byId("order").hidden = view !== "requests";
  byId("scroller").hidden = view === "time";
  byId("view").setAttribute("aria-labelledby", `tab-${view}`);
  for (const name of views) setAttribute(byId(`tab-${name}`), "aria-selected", String(name === view));
  if (view === "time") charts.show(history.moments, state.paused ? frame?.at : undefined);
  else
    list.show({
      name: view,
      role: view === "tree" || view === "requests" ? "treegrid" : "grid",
      columns: columns[view],
      rows: rowsOf[view](),
      selected: state.selected,
    });
  setText(byId("note"), noteOf[view](view === "time" ? 0 : list.rows.length));
}

const isWanted = ({ name, doing = "", state: words = "", wait = "", outcome = "", site = "" }) =>
  `${name}\n${doing}\n${words}\n${wait}\n${outcome}\n${site}`
    .toLowerCase()
    .includes(state.filter.toLowerCase());

const rowsOf = {
  tree: () => (state.tree?.rows ?? []).map(treeRow),
  groups: () => (state.frame?.groups ?? []).filter(isWanted).map(groupRow),
  requests: requestRows,
  difference() {
    const [before, after] = marked();
    return before === undefined ? [] : difference(before, after).filter(isWanted).map(differenceRow);
  },
};

function requestRows() {
  const { running = [], last = [], slowest = [] } = state.requests ?? {};
  const runs = running.filter(isWanted);
  const ended = (byId("slowest").checked ? slowest : last).filter(isWanted);
  const scale = Math.max(
    1,
    ...ended.map(({ took }) => took),
    ...(ended.length > 0 ? [] : runs.map(({ age }) => age)),
  );
  return [
    ...runs.map((row) => runningRow(row, scale)),
    ...ended.flatMap((row) => endedRows(row, scale, state.opened.has(row.id))),
  ];
}

/** The two moments that are compared, the earlier one first. Without a second mark, the one that is shown. */
function marked() {
  const { a = state.frame, b = state.frame } = state.marks;
  if (state.marks.a === undefined && state.marks.b === undefined) return [];
  return a.at <= b.at ? [a, b] : [b, a];
}

const noteOf = {
  tree: () =>
    state.paused
      ? "The tree is not kept for the time line: this is how it was when it was last loaded."
      : state.filter !== "" && state.tree !== undefined
        ? `${count(state.tree.total)} found`
        : "",
  groups: () =>
    state.frame?.moreGroups > 0
      ? `The largest 100 of ${count(100 + state.frame.moreGroups)} groups are listed.`
      : "",
  requests(shown) {
    if (state.requests === undefined) return "";
    if (state.requests.last === undefined)
      return shown === 0
        ? "No request is running."
        : "Requests that have ended are shown by inspector() in the process only.";
    if (shown === 0) return "No request is running, and none has ended since a page was opened.";
    const { stride } = state.requests;
    return stride > 1 ? `So many requests come that one of ${count(stride)} is followed.` : "";
  },
  time: () =>
    "Press a place in a chart, or move the time line, to see the groups and the warnings of that moment.",
  difference(shown) {
    const [before, after] = marked();
    if (before === undefined)
      return "Mark a moment with A, and a later one with B, to see which groups have changed between them.";
    const words = `${timeOfDay(before.at)} to ${timeOfDay(after.at)}, ${duration(after.at - before.at)}`;
    return shown === 0 ? `Nothing has changed: ${words}.` : `What has changed: ${words}.`;
  },
};

// ---- actions of the user

function press(row, part) {
  const { row: content } = row;
  state.selected = row.key;
  if (state.view === "tree") {
    if (content.type === "more") more(content);
    else if (content.type === "group" || part === "twist") toggle(content);
    else select(content.id);
  } else if (state.view === "requests") {
    if (content.running) select(content.id, row.key);
    else if (content.ended) toggleRequest(content);
  } else {
    setFilter(content.site === "" ? content.name.split("#")[0] : content.site);
    setView("tree");
  }
}

function select(id, key = String(id)) {
  state.selected = key;
  state.detail = id;
  showView();
  void updateDetail();
}

const updateDetail = () => {
  const id = state.detail;
  return showDetail(id, { isWanted: () => state.detail === id, select, close: closeDetail });
};

function closeDetail() {
  state.detail = undefined;
  hideDetail();
  focusSelected();
}

function toggle(row) {
  if (row.children === 0) return;
  if (!state.toggled.delete(row.key)) state.toggled.add(row.key);
  void loadTree();
  showView();
}

function toggleRequest(row) {
  if (row.bars.length === 0) return;
  if (!state.opened.delete(row.id)) state.opened.add(row.id);
  showView();
  if (!state.paused) void loadRequests();
}

function more(row) {
  if (row.left < 0) return;
  state.pages.set(row.key, (state.pages.get(row.key) ?? 1) + 1);
  void loadTree();
}

function setView(view) {
  state.view = view;
  showFrame();
  showView();
}

function setFilter(text) {
  state.filter = text;
  if (byId("filter").value !== text) byId("filter").value = text;
  state.pages.delete("");
  if (state.view === "tree") void loadTree();
  else showView();
}

/** Stays at a moment. */
function show(frame) {
  if (frame === undefined) return;
  state.paused = true;
  state.frame = frame;
  setConnection(byId("connection").dataset.state, "paused");
  showFrame();
}

function setPaused(paused) {
  if (paused) return show(state.frame);
  state.paused = false;
  if (byId("connection").dataset.state === "live") setConnection("live", "live");
  state.frame = history.moments.at(-1);
  showFrame();
}

function mark(name) {
  state.marks[name] = state.frame;
  showTime();
  if (state.view === "difference") showView();
}

function scrub(step) {
  const { moments } = history;
  const at = Math.max(0, moments.indexOf(state.frame)) + step;
  show(moments[Math.min(moments.length - 1, Math.max(0, at))]);
}

// ---- the keyboard

const selectedIndex = () => list.rows.findIndex(({ key }) => key === state.selected);

function focusSelected() {
  focusRow(Math.max(0, selectedIndex()));
}

function focusRow(index) {
  const row = list.rows[index];
  if (row === undefined) return;
  state.selected = row.key;
  list.focus(index);
}

function move(step) {
  focusRow(Math.min(list.rows.length - 1, Math.max(0, selectedIndex() + step)));
}

function fold(open) {
  const index = selectedIndex();
  const row = list.rows[index];
  if (row === undefined) return;
  const isOpen = row.attributes?.["aria-expanded"];
  if (isOpen !== undefined && (isOpen === "true") !== open)
    return state.view === "tree" ? toggle(row.row) : toggleRequest(row.row);
  if (open) return move(1);
  const level = row.attributes?.["aria-level"];
  const parent = list.rows
    .slice(0, index)
    .findLastIndex(({ attributes }) => attributes?.["aria-level"] < level);
  if (parent !== -1) focusRow(parent);
}

const keys = {
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  PageDown: () => move(20),
  PageUp: () => move(-20),
  Home: () => focusRow(0),
  End: () => focusRow(list.rows.length - 1),
  ArrowRight: () => fold(true),
  ArrowLeft: () => fold(false),
  Enter() {
    const row = list.rows[selectedIndex()];
    if (row !== undefined) press(row);
  },
  Escape: () => (state.detail === undefined ? setFilter("") : closeDetail()),
  "/": () => byId("filter").focus(),
  p: () => setPaused(!state.paused),
  ",": () => scrub(-1),
  ".": () => scrub(1),
  a: () => mark("a"),
  b: () => mark("b"),
  ...Object.fromEntries(views.map((view, index) => [String(index + 1), () => setView(view)])),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { target, key } = event;
  if (target.id === "filter") {
    if (key !== "Escape" && key !== "ArrowDown" && key !== "Enter") return;
    if (key === "Escape") setFilter("");
    event.preventDefault();
    return focusSelected();
  }
  // A focused button or slider handles these keys itself.
  if (key === "Enter" && target.tagName === "BUTTON") return;
  if (target.id === "moment" && /^(?:Arrow|Page|Home|End)/.test(key)) return;
  const act = keys[key];
  if (act === undefined) return;
  event.preventDefault();
  act();
});

for (const view of views) byId(`tab-${view}`).addEventListener("click", () => setView(view));
byId("pause").addEventListener("click", () => setPaused(!state.paused));
byId("moment").addEventListener("input", ({ target }) => show(history.moments[Number(target.value)]));
byId("mark-a").addEventListener("click", () => mark("a"));
byId("mark-b").addEventListener("click", () => mark("b"));
byId("slowest").addEventListener("change", () => showView());
byId("filter").addEventListener("input", ({ target }) => setFilter(target.value));

// ---- messages from the server

const loadTree = question(
  () => {
    const query = new URLSearchParams();
    if (state.filter !== "") query.set("find", state.filter);
    query.set("toggled", [...state.toggled].slice(-300).join(","));
    const pages = [...state.pages].slice(-100);
    query.set("pages", pages.map(([key, number]) => `${key}:${number}`).join(","));
    return `tree?${query}`;
  },
  (tree) => {
    state.tree = tree;
    if (state.view === "tree") showView();
  },
);

const loadRequests = question(
  () => `requests?open=${[...state.opened].slice(-50).join(",")}`,
  (requests) => {
    state.requests = requests;
    if (state.view === "requests") showView();
  },
);

connect((frame, bytes) => {
  history.add(frame, bytes);
  setConnection("live", state.paused ? "paused" : "live");
  if (state.paused) return void (document.hidden || showTime());
  state.frame = frame;
  if (!document.hidden) showFrame();
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) showFrame();
});
