import { waitLabel, type NodeInfo } from "../../inspect/index.js";
import { formatDuration } from "../../inspect/duration.js";
import { shortSite } from "../../inspect/groups.js";
import { oneLine, plural } from "../../inspect/labels.js";
import { waitOf } from "../../inspect/similar.js";
import { formatCount } from "../format-count.js";
import { detailLines, helpLines, warningLines } from "./screens.js";
import { selectedIndex, visibleRows, type State, type VisibleRow } from "./model.js";
import type { Line, Paint, Style } from "./paint.js";
import { cut, fit, widthOf } from "./width.js";

/** The size of a terminal. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** The height of the scrolling part of the screen, in rows. */
export function pageSizeOf(state: State, size: Size): number {
  const { top, bottom } = fixedLines(state, size);
  return Math.max(1, size.rows - top.length - bottom.length);
}

/** The whole screen: `size.rows` lines of at most `size.columns` columns. Control characters in names are escaped. */
export function render(state: State, size: Size, paint: Paint): string[] {
  const { top, bottom } = fixedLines(state, size);
  const page = pageSizeOf(state, size);
  const body = scrollingLines(state, size, page);
  while (body.length < page) body.push([]);
  return [...top, ...body.slice(0, page), ...bottom]
    .slice(0, size.rows)
    .map((line) => paintLine(line, size.columns, paint));
}

function paintLine(line: Line, columns: number, paint: Paint): string {
  let left = columns;
  let painted = "";
  for (const [text, ...styles] of line) {
    if (left <= 0) break;
    const short = cut(oneLine(text), left);
    left -= widthOf(short);
    painted += paint(short, ...styles);
  }
  return painted;
}

/** The lines above and below the scrolling part. A low terminal gets fewer of them. */
function fixedLines(state: State, size: Size): { top: Line[]; bottom: Line[] } {
  const { rows } = size;
  const header = headerLines(state, size.columns);
  const top = header.slice(0, rows >= 12 ? 3 : rows >= 6 ? 2 : 1);
  if (state.screen === "tree") {
    top.push(...warningSummary(state, Math.floor(rows / 4)));
    if (rows >= 8) top.push(columnTitles(state, size.columns));
  }
  const bottom = rows >= 4 || state.filterInput !== undefined ? [footer(state)] : [];
  return { top: top.slice(0, Math.max(0, rows - 1 - bottom.length)), bottom };
}

/** The process, its number of scopes, and the delay of its event loop. */
function headerLines(state: State, columns: number): Line[] {
  const { summary, title } = state;
  if (summary === undefined)
    return [[[title, "bold"], [state.problem === undefined ? "  …" : ""]], ...problemLine(state)];
  const { counts, runtime } = summary;
  const clock = new Date(summary.at).toTimeString().slice(0, 8);
  const left = `${title}  ${runtime}`;
  const right = state.paused ? `paused at ${clock}` : clock;
  const space = Math.max(2, columns - widthOf(oneLine(left)) - right.length);
  const states = (["running", "queued", "cancelling", "closing"] as const)
    .filter((name) => counts[name] > 0)
    .map((name) => `${formatCount(counts[name])} ${name}`);
  const rates = state.rates;
  return [
    [[title, "bold"], [`  ${runtime}`], [" ".repeat(space)], [right, state.paused ? "yellow" : "dim"]],
    [
      [`${formatCount(counts.scopes)} scopes`],
      [rates === undefined ? "" : ` +${rate(rates.created)}/s -${rate(rates.settled)}/s`, "dim"],
      [`  ${formatCount(counts.tasks)} tasks${states.length === 0 ? "" : `: ${states.join(", ")}`}`],
      [counts.requests === 0 ? "" : `  ${plural(counts.requests, "request")}`],
    ],
    ...problemLine(state),
    loopLine(state),
  ];
}

function problemLine({ problem, summary }: State): Line[] {
  if (problem !== undefined) return [[[problem, "red"]]];
  if (summary?.blockedIn !== undefined)
    return [[[`the event loop is blocked in ${summary.blockedIn}`, "red"]]];
  return [];
}

function loopLine({ summary }: State): Line {
  const delay = summary?.loopDelay;
  if (delay === undefined) return [];
  const late = delay.max >= 200 ? (["yellow"] as const) : [];
  return [
    [`event loop late by ${delay.p50} ms (median), ${delay.p99} ms (p99), `],
    [`${delay.max} ms (most)`, ...late],
  ];
}

/** The first warnings, one line each. */
function warningSummary({ warnings }: State, room: number): Line[] {
  if (warnings.length === 0) return [];
  const shown = warnings.slice(0, Math.max(1, warnings.length > room ? room - 1 : room));
  const hasRoom = shown.reduce((sum, { detail }) => sum + 1 + detail.length, 0) <= room;
  const lines = shown.flatMap(({ title, detail }): Line[] => [
    [[`! ${title}`, "red"]],
    ...(hasRoom ? detail : []).map((text): Line => [[`    ${withShortSites(text)}`]]),
  ]);
  if (shown.length < warnings.length && room > 1)
    lines.push([[`! ${warnings.length - shown.length} more warnings: press w`, "red"]]);
  return lines;
}

/** Shortens the paths of call sites to their last parts. The key `w` shows the whole paths. */
const withShortSites = (text: string): string => text.replace(/(?:file:\/\/)?\/[^\s()]+:\d+:\d+/g, shortSite);

const COUNT = 8;
const AGE = 8;
/** If the names have less room than this, the second column of text is left out. */
const MIN_NAME = 26;
/** The deepest level that is still indented. */
const MAX_INDENT = 16;

/** The widths of the column of names and of the column beside it. */
function columnWidths(columns: number): { name: number; more: number } {
  const rest = Math.max(1, columns - COUNT - AGE - 2);
  if (rest < MIN_NAME * 1.5) return { name: rest, more: 0 };
  const name = Math.max(MIN_NAME, Math.floor(rest * 0.55));
  return { name, more: rest - name - 1 };
}

function columnTitles({ sort, folded }: State, columns: number): Line {
  const { name, more } = columnWidths(columns);
  const title = (text: string, by: string): string => (sort === by ? `${text}↓` : text);
  return [
    [fit(title("COUNT", "count"), COUNT, "right"), "dim"],
    [` ${fit(title("AGE", "age"), AGE, "right")} `, "dim"],
    [fit(title(folded ? "SIMILAR SCOPES" : "SCOPES", "name"), name), "dim"],
    [more === 0 ? "" : ` ${title("WAITS FOR, LINE", "deadline")}`, "dim"],
  ];
}

function scrollingLines(state: State, size: Size, page: number): Line[] {
  switch (state.screen) {
    case "tree":
      return treeLines(state, size.columns, page);
    case "details":
      return scrolled(detailLines(state, size.columns), state.line, page);
    case "warnings":
      return warningLines(state, page);
    case "help":
      return scrolled(helpLines(), state.line, page);
  }
}

function scrolled(lines: Line[], first: number, page: number): Line[] {
  const top = Math.max(0, Math.min(first, lines.length - page));
  return lines.slice(top, top + page);
}

function treeLines(state: State, columns: number, page: number): Line[] {
  const rows = visibleRows(state);
  const { summary } = state;
  if (summary === undefined) return [];
  if (rows.length === 0)
    return [
      [
        [
          (state.filterInput ?? state.filter) === "" ? "no scope is open" : "no scope matches the filter",
          "dim",
        ],
      ],
    ];
  const selected = selectedIndex(state, rows);
  const room = summary.omitted > 0 && page > 2 ? page - 1 : page;
  const top = Math.max(0, Math.min(selected - Math.floor(room / 2), rows.length - room));
  const lines = rows
    .slice(top, top + room)
    .map((row, index) => rowLine(row, summary.at, columns, top + index === selected));
  if (room < page)
    lines.push([
      [`${formatCount(summary.omitted)} scopes in more rows are not shown: / filters, t folds`, "yellow"],
    ]);
  return lines;
}

function rowLine(row: VisibleRow, at: number, columns: number, selected: boolean): Line {
  const { node } = row;
  const widths = columnWidths(columns);
  const marker = !row.hasChildren ? " " : row.isClosed ? "▸" : "▾";
  const deep = row.depth > MAX_INDENT ? `(${row.depth}) ` : "";
  const indent = "  ".repeat(Math.min(row.depth, MAX_INDENT));
  const hidden = row.hidden > 0 ? ` (${formatCount(row.hidden)} below)` : "";
  const name = fit(
    oneLine(`${indent}${marker} ${deep}${row.name}${hidden}  ${kindAndState(node)}`),
    widths.name,
  );
  const number = row.count > 1 ? formatCount(row.count) : "";
  const styles: Style[] = selected ? ["selected"] : node.reason === undefined ? [] : ["yellow"];
  const line: Line = [
    [fit(number, COUNT, "right"), ...(selected ? styles : (["bold"] as const))],
    [` ${fit(formatDuration(node.age), AGE, "right")} `, ...(selected ? styles : [])],
    [name, ...styles],
  ];
  if (widths.more === 0) return line;
  return [
    ...line,
    [fit(oneLine(` ${secondColumn(row, at)}`), widths.more + 1), ...(selected ? styles : (["dim"] as const))],
  ];
}

/** `task`, and its state if it is not "open". */
function kindAndState({ kind, daemon, state, status, reason }: NodeInfo): string {
  const what = daemon === true ? "daemon" : kind;
  if (state === "open") return status === "queued" ? `${what}, queued` : what;
  return reason === undefined ? `${what}, ${state}` : `${what}, ${state} (${reason.kind})`;
}

function secondColumn({ node, count: size, deadline }: VisibleRow, at: number): string {
  const parts: string[] = [];
  if (node.waitingForCleanup)
    parts.push(node.cleanups > 0 ? "waiting for its cleanups" : "waiting for cleanup");
  const wait = size > 1 ? waitOf(node) : (node.waits?.map(waitLabel).join(", ") ?? waitOf(node));
  if (wait !== "") parts.push(wait);
  if (deadline !== undefined && node.reason === undefined) parts.push(timeLeft(deadline - at));
  if (node.request?.status !== undefined) parts.push(`status ${node.request.status}`);
  if (node.failures > 0) parts.push(plural(node.failures, "failure"));
  if (node.note !== undefined) parts.push(node.note);
  if (node.spawnedAt !== undefined) parts.push(shortSite(node.spawnedAt));
  return parts.join(" · ");
}

const timeLeft = (ms: number): string =>
  ms >= 0 ? `${formatDuration(ms)} to its deadline` : `${formatDuration(-ms)} past its deadline`;

function footer(state: State): Line {
  if (state.filterInput !== undefined)
    return [["filter: ", "bold"], [state.filterInput], ["▏"], ["   ⏎ keep it  esc leave it", "dim"]];
  const keys: readonly (readonly [string, string])[] =
    state.screen === "tree"
      ? [
          ["h", "help"],
          ["q", "quit"],
          ["⏎", "fold"],
          ["d", "details"],
          ["w", "warnings"],
          ["s", `sort ${state.sort}`],
          ["t", state.folded ? "tree" : "similar"],
          ["/", state.filter === "" ? "filter" : `filter ${state.filter}`],
        ]
      : [
          ["esc", "back"],
          ["↑↓", "scroll"],
          ...(state.screen === "warnings" ? ([["⏎", "details"]] as const) : []),
        ];
  return keys.flatMap(([key, what]): Line => [
    [key, "cyan"],
    [` ${what}  `, "dim"],
  ]);
}

const rate = (perSecond: number): string =>
  perSecond < 10 ? String(Math.round(perSecond * 10) / 10) : formatCount(Math.round(perSecond));
