// The tables: which columns they have, and what the cells of a row show.

import { change, count, duration, plain, rate } from "./dom.js";

export const columns = {
  tree: [
    ["Scope"],
    ["State"],
    ["Waits for"],
    ["Age", "number"],
    ["Deadline", "number wide"],
    ["Spawned at", "faint wide"],
  ],
  groups: [
    ["Alive", "number"],
    ["Group"],
    ["What they do"],
    ["Created/s", "number wide"],
    ["Settled/s", "number"],
    ["Life p50", "number wide"],
    ["p95", "number wide"],
    ["p99", "number"],
    ["Oldest", "number wide"],
    ["Spawned at", "faint wide"],
  ],
  requests: [
    ["Request"],
    ["Status", "number"],
    ["Outcome"],
    ["Ended", "number wide"],
    ["Took", "number"],
    ["", "strip"],
  ],
  difference: [
    ["Group"],
    ["", "wide"],
    ["A", "number"],
    ["B", "number"],
    ["Change", "number"],
    ["Created", "number wide"],
    ["Settled", "number wide"],
    ["Spawned at", "faint wide"],
  ],
};

const text = (value, kind, title) => ({ text: value, kind, title });

function stateClass({ holding, state }) {
  if (holding) return "state-bad";
  return state.startsWith("cancelling") ? "state-late" : "";
}

function stateText(row) {
  const parts = [row.state];
  if (row.holding) parts.push("holds up others");
  if (row.status !== undefined) parts.push(`status ${row.status}`);
  if (row.failures > 0) parts.push(row.failures === 1 ? "1 failure" : `${count(row.failures)} failures`);
  return parts.filter((part) => part !== "" && part !== undefined).join(" · ");
}

function deadline({ left }) {
  if (left === undefined) return text("");
  return left >= 0 ? text(`${duration(left)} left`) : text(`${duration(-left)} over`, "state-bad");
}

const indentOf = (depth) => 8 + 16 * Math.min(depth, 24);

export function treeRow(row) {
  const level = { "aria-level": row.depth + 1 };
  if (row.type === "more") {
    const words =
      row.left < 0
        ? "Too many rows are open. Close some, or use the filter."
        : `${count(row.left)} more: show the next 200`;
    return {
      key: `more:${row.key}`,
      attributes: level,
      row,
      cells: [{ parts: [["more", words]], title: words, indent: indentOf(row.depth) }],
    };
  }
  const faint = [];
  if (row.type === "node" && row.kind !== "task" && row.kind !== row.name) faint.push(` ${row.kind}`);
  if (row.type === "node" && row.children > 0 && !row.open) faint.push(` · ${count(row.children)} below`);
  if (row.note !== undefined) faint.push(` · ${plain(row.note)}`);
  const name = {
    title: plain(row.name),
    indent: indentOf(row.depth),
    parts: [
      ["twist", row.children > 0 ? (row.open ? "▾" : "▸") : "", "twist"],
      ["count", row.type === "group" ? `${count(row.children)} × ` : ""],
      ["", plain(row.name)],
      ["faint", faint.join("")],
    ],
  };
  return {
    key: row.key,
    attributes: { ...level, ...(row.children > 0 ? { "aria-expanded": row.open ? "true" : "false" } : {}) },
    row,
    cells: [
      name,
      text(stateText(row), stateClass(row)),
      text(plain(row.wait)),
      text(row.kind === "background" ? "" : duration(row.age)),
      deadline(row),
      text(plain(row.site)),
    ],
  };
}

const kindOf = ({ kind }) => (kind === "task" || kind === "" ? "" : ` ${kind}`);

const named = (row) => ({
  title: plain(row.name),
  parts: [
    ["", plain(row.name)],
    ["faint", kindOf(row)],
  ],
});

export function groupRow(row) {
  const { life, rates } = row;
  return {
    key: row.key,
    row,
    cells: [
      text(count(row.count), "count"),
      named(row),
      text(plain(row.doing)),
      text(rates === undefined ? "" : rate(rates.created)),
      text(rates === undefined ? "" : rate(rates.settled)),
      ...[0, 1, 2].map((index) => text(life === undefined ? "" : duration(life[index]))),
      text(row.count === 0 ? "" : duration(row.oldest)),
      text(plain(row.site)),
    ],
  };
}

export function differenceRow(row) {
  return {
    key: row.key,
    row,
    cells: [
      named(row),
      text(row.what, row.what === "grown" || row.what === "new" ? "state-late" : "faint"),
      text(count(row.from)),
      text(count(row.to)),
      text(change(row.grown), "count"),
      text(row.created === undefined ? "" : count(row.created)),
      text(row.settled === undefined ? "" : count(row.settled)),
      text(plain(row.site)),
    ],
  };
}

/** A request that runs: its bar is as long as it has taken. */
export function runningRow(row, scale) {
  return {
    key: `run:${row.id}`,
    row: { ...row, running: true },
    cells: [
      text(plain(row.name)),
      text(row.status === undefined ? "" : String(row.status)),
      text(row.state === "" ? "running" : row.state, stateClass(row)),
      text(""),
      text(duration(row.age)),
      { bars: [{ from: 0, to: Math.min(1, row.age / scale), kind: "bar running" }], title: plain(row.wait) },
    ],
  };
}

const outcomeClass = (outcome) =>
  outcome === "succeeded"
    ? "good"
    : outcome === "failed" || outcome === "failure"
      ? "bad"
      : outcome === ""
        ? "running"
        : "late";

/** A request that has ended, with the tasks below it: as thin bars, or as rows of their own if it is open. */
export function endedRows(row, scale, isOpen) {
  const whole = { from: 0, to: row.took / scale, kind: `bar ${outcomeClass(row.outcome)}` };
  const nested = row.bars.slice(0, 6).map(([, depth, from, to], index) => ({
    from: from / scale,
    to: (to ?? row.took) / scale,
    kind: "nested",
    lane: index,
    depth,
  }));
  const failed = row.status >= 500 || row.outcome === "failed";
  const request = {
    key: `end:${row.id}`,
    attributes: { "aria-level": 1, "aria-expanded": isOpen ? "true" : "false" },
    row: { ...row, ended: true },
    cells: [
      {
        title: plain(row.name),
        parts: [
          ["twist", row.bars.length > 0 ? (isOpen ? "▾" : "▸") : ""],
          ["", plain(row.name)],
        ],
      },
      text(row.status === undefined ? "" : String(row.status), failed ? "state-bad" : ""),
      text(row.outcome, failed ? "state-bad" : row.outcome === "succeeded" ? "faint" : "state-late"),
      text(`${duration(row.ago)} ago`, "faint"),
      text(duration(row.took)),
      { bars: isOpen ? [whole] : [whole, ...nested], title: `${plain(row.name)}: ${duration(row.took)}` },
    ],
  };
  if (!isOpen) return [request];
  const bars = row.bars.map(([name, depth, from, to, outcome], index) => ({
    key: `bar:${row.id}:${index}`,
    attributes: { "aria-level": depth + 2 },
    row: {},
    cells: [
      { title: plain(name), indent: indentOf(depth + 1) + 16, parts: [["", plain(name)]] },
      text(""),
      text(outcome === "" ? "still running" : outcome, outcome === "succeeded" ? "faint" : "state-late"),
      text(`from ${duration(from)}`, "faint"),
      text(to === null ? "" : duration(to - from)),
      {
        bars: [
          { from: from / scale, to: (to ?? row.took) / scale, kind: `bar task ${outcomeClass(outcome)}` },
        ],
        title: `${plain(name)}: ${duration((to ?? row.took) - from)}`,
      },
    ],
  }));
  if (row.moreBars > 0)
    bars.push({
      key: `bar:${row.id}:more`,
      row: {},
      cells: [{ parts: [["faint", `${count(row.moreBars)} more`]], indent: indentOf(1) + 16 }],
    });
  return [request, ...bars];
}
