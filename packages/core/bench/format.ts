import type { Metric, Summary, Table, Target } from "./harness.js";

/** Three significant digits: more would be noise. */
export function number(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  if (Math.abs(value) >= 10) return value.toFixed(1);
  if (value > 0 && value < 0.01) return "<0.01";
  return value.toFixed(2).replace(/\.00$/, "");
}

export function times(value: number): string {
  return `${number(value)}x`;
}

/** Whether the target is met, to the precision that is shown, and if not, by how much it is missed. */
export function verdict({ better, limit, measured }: Target): string {
  const excess = better === "lower" ? measured / limit : limit / measured;
  return excess < 1.005 ? "met" : `missed by ${Math.round((excess - 1) * 100)} %`;
}

export function withUnit(value: number, unit: Target["unit"]): string {
  return unit === "x" ? times(value) : `${number(value)} ${unit}`;
}

/** Header and cells of the table of the targets. */
export function targetCells(targets: readonly Target[]): readonly (readonly string[])[] {
  const rows = targets.map((target) => [
    target.what,
    `at ${target.better === "lower" ? "most" : "least"} ${withUnit(target.limit, target.unit)}`,
    withUnit(target.measured, target.unit),
    verdict(target),
  ]);
  return [["target", "limit", "measured", "verdict"], ...rows];
}

/** Header and cells of a table: per metric the median, min to max, and the ratio to the base. */
export function cells({ metrics, rows, base }: Table): readonly (readonly string[])[] {
  const bases = rows.find((row) => row.label === base)?.values ?? [];
  const header = metrics.flatMap((metric) => [title(metric), "min–max", "x base"]);
  const body = rows.map((row) => [
    row.label,
    ...row.values.flatMap((value, index) => cell(value, bases[index])),
    String(row.rounds),
  ]);
  return [["", ...header, "rounds"], ...body];
}

function title({ name, unit }: Metric): string {
  return unit === "count" ? name : `${name}, ${unit}`;
}

function cell(value: Summary, base: Summary | undefined): readonly string[] {
  const relative = base === undefined || base.median === 0 ? "" : times(value.median / base.median);
  return [number(value.median), `${number(value.min)}–${number(value.max)}`, relative];
}

/** For a terminal: columns in line, the first to the left and numbers to the right. */
export function aligned(table: readonly (readonly string[])[]): string {
  const widths = widthsOf(table);
  const lines = table.map((row) =>
    row
      .map((text, column) =>
        column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
  const rule = "─".repeat(Math.max(...lines.map((line) => line.length)));
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}

/** For a Markdown file, padded as Prettier does. */
export function markdown(table: readonly (readonly string[])[]): string {
  const widths = widthsOf(table).map((width) => Math.max(width, 4));
  const line = (row: readonly string[]): string =>
    `| ${row.map((text, column) => (column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0))).join(" | ")} |`;
  const rule = `| ${widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  const [header = [], ...rows] = table;
  return [line(header), rule, ...rows.map(line)].join("\n");
}

function widthsOf(table: readonly (readonly string[])[]): readonly number[] {
  return (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
}
