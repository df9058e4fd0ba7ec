import { formatDuration } from "../../inspect/duration.js";
import { shortSite } from "../../inspect/groups.js";
import type { State } from "./model.js";
import type { Line } from "./paint.js";
import { widthOf } from "./width.js";

// The screens beside the tree: the details of a scope, the warnings, and the keys.

/** The details of a scope: why it is alive, its path, and its other properties. */
export function detailLines({ detail, summary, detailOf }: State, columns: number): Line[] {
  if (detail === undefined)
    return [[[summary === undefined || detailOf === undefined ? "…" : "This scope has ended.", "dim"]]];
  const lines: Line[] = [
    [
      [detail.name, "bold"],
      [`  ${detail.kind}${detail.state === "" ? "" : `, ${detail.state}`}`],
      [`  ${formatDuration(detail.age)}`, "dim"],
    ],
    [],
    [["Why is it alive?", "cyan"]],
    ...detail.why.flatMap((sentence) => wrapped(sentence, columns)),
    [],
    [["Where is it?", "cyan"]],
    ...[...detail.path, detail].map((row, depth): Line => {
      const indent = "  ".repeat(Math.min(depth, 20));
      const site = row.site === "" ? "" : `  ${row.site}`;
      return [
        [`  ${indent}${row.name}`],
        [`  ${row.kind}${row.state === "" ? "" : `, ${row.state}`}${site}`, "dim"],
      ];
    }),
    [],
    [["Other properties", "cyan"]],
  ];
  const room = Math.max(0, ...detail.facts.map(([label]) => label.length));
  for (const [label, value] of detail.facts)
    lines.push([
      [`  ${label.padEnd(room)}  `, "dim"],
      [label.endsWith("by") || label.endsWith("at") ? withShortSite(value) : value],
    ]);
  return lines;
}

/** Puts the last parts of a path first. */
const withShortSite = (value: string): string =>
  /:\d+:\d+\)?$/.test(value) ? `${shortSite(value)}  (${value})` : value;

/** The warnings with their details, scrolled so that the selected one is visible. */
export function warningLines({ warnings, line }: State, page: number): Line[] {
  if (warnings.length === 0) return [[["Nothing is wrong, as far as two looks in a row can tell.", "dim"]]];
  const lines: Line[] = [];
  let selectedFrom = 0;
  for (const [index, { title, detail }] of warnings.entries()) {
    if (index === line) selectedFrom = lines.length;
    lines.push([[`! ${title}`, ...(index === line ? (["selected"] as const) : (["red"] as const))]]);
    for (const text of detail) lines.push([[`    ${text}`]]);
  }
  const top = Math.max(0, Math.min(selectedFrom - Math.floor(page / 3), lines.length - page));
  return lines.slice(top, top + page);
}

const keys: readonly (readonly [keys: string, what: string])[] = [
  ["↑ ↓  j k", "select the row above, below"],
  ["PgUp PgDn", "a page up, down"],
  ["Home End  g G", "the first, the last row"],
  ["⏎  ← →", "close or open a row"],
  ["d", "details: why is it alive, who cancelled it, which deadlines hold"],
  ["w", "all warnings; ⏎ opens the scope that one is about"],
  ["s", "sort by age, count, name, deadline"],
  ["t", "similar scopes as one row, or every scope as a row"],
  ["/", "show only what contains a text: a name, line, state, wait"],
  ["p", "pause, go on"],
  ["esc", "back; in the tree, without a filter"],
  ["q  Ctrl-C", "quit: the process goes on, as it was"],
];

export function helpLines(): Line[] {
  return [
    ...keys.map(([key, what]): Line => [[`  ${key.padEnd(15)}`, "cyan"], [what]]),
    [],
    [
      [
        "A row is a scope, or similar scopes below similar scopes: of one name but for the digits, started on",
      ],
    ],
    [
      [
        "one line, in one state, with one wait. AGE is that of the oldest. BOUGH_TRACE=1 in the environment of",
      ],
    ],
    [["the process, or setTracing(true) in it, adds lines and who cancelled."]],
  ];
}

/** Breaks a sentence into lines of at most `columns` columns. */
function wrapped(text: string, columns: number): Line[] {
  const lines: string[] = [];
  let line = "  ";
  for (const word of text.split(" ")) {
    if (widthOf(line) + widthOf(word) >= columns && line.trim() !== "") {
      lines.push(line);
      line = "  ";
    }
    line += `${line.trim() === "" ? "" : " "}${word}`;
  }
  return [...lines, line].map((each): Line => [[each]]);
}
