import type { Warning } from "../../inspect/index.js";
import type { NodeDetail } from "../../inspector/detail.js";
import type { FoldQuery, FoldedRow, TreeSummary } from "../../inspect/fold-tree.js";

// The state of the terminal view, and how each key and each look changes it. This file does not depend on a terminal.

/** The order of the rows below one row. */
type SortBy = "age" | "count" | "name" | "deadline";

const orders: readonly SortBy[] = ["age", "count", "name", "deadline"];

/** The screen that is shown. */
type Screen = "tree" | "details" | "warnings" | "help";

/** The state of the view. */
export interface State {
  /** The process that is shown: `process 4711`. */
  readonly title: string;
  readonly summary: TreeSummary | undefined;
  /** The details of the scope `detailOf`. */
  readonly detail: NodeDetail | undefined;
  /** New and ended scopes per second, since the previous look. */
  readonly rates: { readonly created: number; readonly settled: number } | undefined;
  readonly warnings: readonly Warning[];
  readonly screen: Screen;
  readonly folded: boolean;
  readonly sort: SortBy;
  /** The keys of rows whose contents are not shown. */
  readonly closed: ReadonlySet<string>;
  readonly filter: string;
  /** The text that is being typed into the filter; `undefined` while the filter is not edited. */
  readonly filterInput: string | undefined;
  /** The key of the selected row. */
  readonly selected: string | undefined;
  /** The line that is selected in the warnings, or the first that is shown of the details. */
  readonly line: number;
  /** The `id` of the scope whose details are shown. */
  readonly detailOf: number | undefined;
  readonly paused: boolean;
  /** Why the process can't be inspected at the moment. */
  readonly problem: string | undefined;
  readonly quit: boolean;
  /** The number of rows of the tree that fit on the screen. */
  readonly pageSize: number;
}

/** A change of the state. */
export type Action =
  | { readonly type: "summary"; readonly summary: TreeSummary; readonly detail?: NodeDetail | undefined }
  | { readonly type: "warnings"; readonly warnings: readonly Warning[] }
  | { readonly type: "problem"; readonly text: string }
  | { readonly type: "page"; readonly page: number }
  | { readonly type: "key"; readonly key: Key };

/** A key, as Node's `readline` reports it. */
export interface Key {
  /** The character, if the key has one. */
  readonly text?: string | undefined;
  /** `up`, `return`, `a`, … */
  readonly name?: string | undefined;
  readonly ctrl?: boolean | undefined;
}

export function initialState(title: string): State {
  return {
    title,
    summary: undefined,
    detail: undefined,
    rates: undefined,
    warnings: [],
    screen: "tree",
    folded: true,
    sort: "age",
    closed: new Set(),
    filter: "",
    filterInput: undefined,
    selected: undefined,
    line: 0,
    detailOf: undefined,
    paused: false,
    problem: undefined,
    quit: false,
    pageSize: 10,
  };
}

/** The query to send to the process. */
export function toQuery({ folded, filter, filterInput, closed, detailOf }: State): FoldQuery {
  return {
    folded,
    filter: (filterInput ?? filter).toLowerCase(),
    closed: [...closed],
    ...(detailOf === undefined ? {} : { detail: detailOf }),
  };
}

export function update(state: State, action: Action): State {
  switch (action.type) {
    case "summary":
      return withSummary(state, action.summary, action.detail);
    case "warnings":
      return { ...state, warnings: action.warnings };
    case "problem":
      return { ...state, problem: action.text };
    case "page":
      return { ...state, pageSize: action.page };
    case "key":
      return state.filterInput === undefined
        ? onKey(state, action.key)
        : onTyped(state, state.filterInput, action.key);
  }
}

function withSummary(state: State, summary: TreeSummary, detail: NodeDetail | undefined): State {
  const next = keepSelection(state, { ...state, summary, detail, problem: undefined });
  const { summary: before } = state;
  const seconds = before === undefined ? 0 : (summary.at - before.at) / 1_000;
  // A key may cause a second look at once. The time between the two is too short for a rate.
  if (before === undefined || seconds < 0.2) return next;
  const created = Math.max(0, summary.created - before.created);
  const settled = Math.max(0, before.counts.scopes + created - summary.counts.scopes);
  return { ...next, rates: { created: created / seconds, settled: settled / seconds } };
}

/** Selects the row at the same position if the selected row has disappeared. */
function keepSelection(before: State, after: State): State {
  const rows = visibleRows(after);
  if (before.selected === undefined || rows.some(({ key }) => key === before.selected)) return after;
  const index = selectedIndex(before, visibleRows(before));
  return { ...after, selected: rows[clamp(index, rows.length - 1)]?.key };
}

/** The rows that are shown, sorted, with their depth. */
export interface VisibleRow extends FoldedRow {
  readonly depth: number;
  readonly isClosed: boolean;
  readonly hasChildren: boolean;
}

export function visibleRows({ summary, sort, closed }: State): VisibleRow[] {
  if (summary === undefined) return [];
  const below = new Map<number, number[]>();
  for (const [index, { parent }] of summary.rows.entries()) {
    const siblings = below.get(parent);
    if (siblings === undefined) below.set(parent, [index]);
    else siblings.push(index);
  }
  const found: VisibleRow[] = [];
  const todo: { readonly index: number; readonly depth: number }[] = [];
  const push = (parent: number, depth: number): void => {
    const siblings = below.get(parent) ?? [];
    const sorted = siblings.toSorted((a, b) =>
      compare[sort](summary.rows[a] as FoldedRow, summary.rows[b] as FoldedRow),
    );
    for (const index of sorted.toReversed()) todo.push({ index, depth });
  };
  push(-1, 0);
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    const row = summary.rows[at.index] as FoldedRow;
    const isClosed = closed.has(row.key);
    found.push({ ...row, depth: at.depth, isClosed, hasChildren: row.hidden > 0 || below.has(at.index) });
    if (!isClosed) push(at.index, at.depth + 1);
  }
  return found;
}

const compare: Readonly<Record<SortBy, (a: FoldedRow, b: FoldedRow) => number>> = {
  age: (a, b) => b.node.age - a.node.age || a.node.id - b.node.id,
  count: (a, b) => b.count + b.hidden - (a.count + a.hidden) || compare.age(a, b),
  name: (a, b) => (a.name === b.name ? compare.age(a, b) : a.name < b.name ? -1 : 1),
  deadline: (a, b) => (a.deadline ?? Infinity) - (b.deadline ?? Infinity) || compare.age(a, b),
};

/** The index of the selected row, or 0 if it has disappeared. */
export function selectedIndex(state: State, rows: readonly VisibleRow[]): number {
  return Math.max(
    0,
    rows.findIndex(({ key }) => key === state.selected),
  );
}

/** Handles a key while the filter is edited: letters are not commands. */
function onTyped(state: State, typed: string, { name, text, ctrl }: Key): State {
  if (ctrl === true && name === "c") return { ...state, quit: true };
  if (name === "return" || name === "enter") return { ...state, filter: typed, filterInput: undefined };
  if (name === "escape") return { ...state, filterInput: undefined };
  if (name === "backspace") return { ...state, filterInput: Array.from(typed).slice(0, -1).join("") };
  if (ctrl === true && name === "u") return { ...state, filterInput: "" };
  if (ctrl === true || text === undefined || /\p{Cc}/u.test(text)) return state;
  return { ...state, filterInput: typed + text };
}

function onKey(state: State, key: Key): State {
  const { name, text, ctrl } = key;
  if (ctrl === true) return name === "c" ? { ...state, quit: true } : state;
  const step = stepOf(key, state.pageSize);
  if (step !== undefined) return move(state, step);
  switch (text === "?" || text === "/" ? text : name) {
    case "q":
      return state.screen === "tree" ? { ...state, quit: true } : backToTree(state);
    case "escape":
      return state.screen === "tree" ? { ...state, filter: "" } : backToTree(state);
    case "?":
    case "h":
      return toggle(state, "help");
    case "w":
      return toggle(state, "warnings");
    case "d":
      return state.screen === "tree" ? openDetails(state) : backToTree(state);
    case "p":
      return { ...state, paused: !state.paused };
    case "s":
      return { ...state, sort: orders[(orders.indexOf(state.sort) + 1) % orders.length] as SortBy };
    case "t":
      return { ...backToTree(state), folded: !state.folded, selected: undefined };
    case "/":
      return { ...backToTree(state), filterInput: state.filter };
    case "return":
    case "enter":
    case "space":
      return onEnter(state);
    case "left":
      return setClosed(state, true);
    case "right":
      return setClosed(state, false);
    default:
      return state;
  }
}

/** The number of rows by which a key moves the selection; `undefined` for any other key. */
function stepOf({ name, text }: Key, page: number): number | undefined {
  if (text === "G") return Infinity;
  switch (name) {
    case "up":
    case "k":
      return -1;
    case "down":
    case "j":
      return 1;
    case "pageup":
      return -page;
    case "pagedown":
      return page;
    case "home":
    case "g":
      return -Infinity;
    case "end":
      return Infinity;
    default:
      return undefined;
  }
}

function move(state: State, step: number): State {
  if (state.screen !== "tree") {
    const last = state.screen === "warnings" ? Math.max(0, state.warnings.length - 1) : MAX_LINES;
    return { ...state, line: clamp(state.line + step, last) };
  }
  const rows = visibleRows(state);
  const index = clamp(selectedIndex(state, rows) + step, rows.length - 1);
  return { ...state, selected: rows[index]?.key };
}

/** More than the details ever have. The renderer limits the position further. */
const MAX_LINES = 2_000;

const clamp = (value: number, last: number): number => Math.max(0, Math.min(value, last));

const backToTree = (state: State): State => ({
  ...state,
  screen: "tree",
  detailOf: undefined,
  line: 0,
});

function toggle(state: State, screen: Screen): State {
  return state.screen === screen ? backToTree(state) : { ...state, screen, line: 0, detailOf: undefined };
}

function openDetails(state: State): State {
  const rows = visibleRows(state);
  const row = rows[selectedIndex(state, rows)];
  return row === undefined ? state : detailsOf(state, row.node.id);
}

const detailsOf = (state: State, id: number): State => ({
  ...state,
  screen: "details",
  detailOf: id,
  line: 0,
});

function onEnter(state: State): State {
  if (state.screen === "warnings") {
    const id = state.warnings[state.line]?.nodes[0];
    return id === undefined ? state : detailsOf(state, id);
  }
  if (state.screen !== "tree") return backToTree(state);
  const rows = visibleRows(state);
  const row = rows[selectedIndex(state, rows)];
  return row === undefined ? state : setClosed(state, !row.isClosed);
}

function setClosed(state: State, close: boolean): State {
  if (state.screen !== "tree") return state;
  const rows = visibleRows(state);
  const index = selectedIndex(state, rows);
  const row = rows[index];
  if (row === undefined) return state;
  const closed = new Set(state.closed);
  if (close && row.hasChildren && !row.isClosed) closed.add(row.key);
  else if (!close) closed.delete(row.key);
  else {
    // There is nothing to close: select the parent.
    const above = rows.slice(0, index).findLast(({ depth }) => depth < row.depth);
    return { ...state, selected: above?.key ?? row.key };
  }
  return { ...state, closed, selected: row.key };
}
