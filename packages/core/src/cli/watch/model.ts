import type { Warning } from "../../inspect/index.js";
import type { NodeDetail } from "../../inspector/detail.js";
import type { FoldQuery, FoldedRow, TreeSummary } from "../../inspect/tree-folder.js";

// What the terminal view knows, and how each key and each look changes it. Nothing here knows of a terminal.

/** By what the rows below one row are sorted. */
type SortBy = "age" | "count" | "name" | "deadline";

const orders: readonly SortBy[] = ["age", "count", "name", "deadline"];

/** What fills the screen. */
type Screen = "tree" | "details" | "warnings" | "help";

/** What the view shows. */
export interface State {
  /** What is looked at: `process 4711`. */
  readonly title: string;
  readonly summary: TreeSummary | undefined;
  /** What `detailOf` is about. */
  readonly detail: NodeDetail | undefined;
  /** New and ended scopes per second, since the look before. */
  readonly rates: { readonly created: number; readonly settled: number } | undefined;
  readonly warnings: readonly Warning[];
  readonly screen: Screen;
  readonly folded: boolean;
  readonly sort: SortBy;
  /** The keys of rows whose contents are not shown. */
  readonly closed: ReadonlySet<string>;
  readonly filter: string;
  /** What is being typed into the filter; `undefined` if nothing is. */
  readonly typed: string | undefined;
  /** The key of the selected row. */
  readonly selected: string | undefined;
  /** The line that is selected in the warnings, or the first that is shown of the details. */
  readonly line: number;
  /** The `id` of the scope whose details are shown. */
  readonly detailOf: number | undefined;
  readonly paused: boolean;
  /** Why the process can't be looked at now. */
  readonly trouble: string | undefined;
  readonly quit: boolean;
  /** How many rows of the tree fit on the screen. */
  readonly page: number;
}

/** What happens to the view. */
export type Happening =
  | { readonly type: "summary"; readonly summary: TreeSummary; readonly detail?: NodeDetail | undefined }
  | { readonly type: "warnings"; readonly warnings: readonly Warning[] }
  | { readonly type: "trouble"; readonly text: string }
  | { readonly type: "page"; readonly page: number }
  | { readonly type: "key"; readonly key: Key };

/** A key, as Node's `readline` reports it. */
export interface Key {
  /** The character, if it is one. */
  readonly text?: string | undefined;
  /** `up`, `return`, `a`, … */
  readonly name?: string | undefined;
  readonly ctrl?: boolean | undefined;
}

export function firstState(title: string): State {
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
    typed: undefined,
    selected: undefined,
    line: 0,
    detailOf: undefined,
    paused: false,
    trouble: undefined,
    quit: false,
    page: 10,
  };
}

/** What the process is asked for. */
export function queryOf({ folded, filter, typed, closed, detailOf }: State): FoldQuery {
  return {
    folded,
    filter: (typed ?? filter).toLowerCase(),
    closed: [...closed],
    ...(detailOf === undefined ? {} : { detail: detailOf }),
  };
}

export function update(state: State, happening: Happening): State {
  switch (happening.type) {
    case "summary":
      return withSummary(state, happening.summary, happening.detail);
    case "warnings":
      return { ...state, warnings: happening.warnings };
    case "trouble":
      return { ...state, trouble: happening.text };
    case "page":
      return { ...state, page: happening.page };
    case "key":
      return state.typed === undefined
        ? onKey(state, happening.key)
        : onTyped(state, state.typed, happening.key);
  }
}

function withSummary(state: State, summary: TreeSummary, detail: NodeDetail | undefined): State {
  const next = keepPlace(state, { ...state, summary, detail, trouble: undefined });
  const { summary: before } = state;
  const seconds = before === undefined ? 0 : (summary.at - before.at) / 1_000;
  // Two looks right after one another, because of a key, give no rate.
  if (before === undefined || seconds < 0.2) return next;
  const created = Math.max(0, summary.created - before.created);
  const settled = Math.max(0, before.counts.scopes + created - summary.counts.scopes);
  return { ...next, rates: { created: created / seconds, settled: settled / seconds } };
}

/** If the selected row is gone, the one in its place is selected. */
function keepPlace(before: State, after: State): State {
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

/** The index of the selected row; the first one if it is gone. */
export function selectedIndex(state: State, rows: readonly VisibleRow[]): number {
  return Math.max(
    0,
    rows.findIndex(({ key }) => key === state.selected),
  );
}

/** The filter is being typed: letters are not commands. */
function onTyped(state: State, typed: string, { name, text, ctrl }: Key): State {
  if (ctrl === true && name === "c") return { ...state, quit: true };
  if (name === "return" || name === "enter") return { ...state, filter: typed, typed: undefined };
  if (name === "escape") return { ...state, typed: undefined };
  if (name === "backspace") return { ...state, typed: Array.from(typed).slice(0, -1).join("") };
  if (ctrl === true && name === "u") return { ...state, typed: "" };
  if (ctrl === true || text === undefined || /\p{Cc}/u.test(text)) return state;
  return { ...state, typed: typed + text };
}

function onKey(state: State, key: Key): State {
  const { name, text, ctrl } = key;
  if (ctrl === true) return name === "c" ? { ...state, quit: true } : state;
  const step = stepOf(key, state.page);
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
      return { ...backToTree(state), typed: state.filter };
    case "return":
    case "enter":
    case "space":
      return onEnter(state);
    case "left":
      return fold(state, true);
    case "right":
      return fold(state, false);
    default:
      return state;
  }
}

/** How far a key moves; `undefined` if it is another one. */
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

/** Details have fewer lines. How far one can go is known where they are drawn. */
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
  return row === undefined ? state : fold(state, !row.isClosed);
}

function fold(state: State, close: boolean): State {
  if (state.screen !== "tree") return state;
  const rows = visibleRows(state);
  const index = selectedIndex(state, rows);
  const row = rows[index];
  if (row === undefined) return state;
  const closed = new Set(state.closed);
  if (close && row.hasChildren && !row.isClosed) closed.add(row.key);
  else if (!close) closed.delete(row.key);
  else {
    // There is nothing to close: go to what it is in.
    const above = rows.slice(0, index).findLast(({ depth }) => depth < row.depth);
    return { ...state, selected: above?.key ?? row.key };
  }
  return { ...state, closed, selected: row.key };
}
