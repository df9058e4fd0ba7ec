import { stripVTControlCharacters } from "node:util";

/** Puts cells below each other: the first column to the left, the others, numbers, to the right. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, widthOf(cell));
  }
  return rows.map((row) => {
    const cells = row.map((cell, column) => {
      const gap = " ".repeat((widths[column] ?? 0) - widthOf(cell));
      return column === 0 ? cell + gap : gap + cell;
    });
    return cells.join("  ");
  });
}

/** Pads what may contain colours. */
export function pad(text: string, width: number): string {
  return text + " ".repeat(Math.max(width - widthOf(text), 0));
}

function widthOf(text: string): number {
  return stripVTControlCharacters(text).length;
}
