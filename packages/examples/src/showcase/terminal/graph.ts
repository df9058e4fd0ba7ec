const BLOCKS = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"] as const;

/**
 * Draws values from left to right as bars of `rows` characters, with eight steps in each. What has no room in
 * `columns` is drawn closer together, a bar then being the greatest of its values.
 *
 * @param top - What a bar of the full height stands for.
 */
export function bars(values: readonly number[], top: number, columns: number, rows: number): string[] {
  const fitted = fit(values, columns);
  return Array.from({ length: rows }, (_, row) => {
    const below = rows - 1 - row;
    const cells = fitted.map((value) => {
      const eighths = top > 0 ? Math.ceil((value / top) * rows * 8) : 0;
      return BLOCKS[Math.min(Math.max(eighths - below * 8, 0), 8)];
    });
    return cells.join("");
  });
}

function fit(values: readonly number[], columns: number): number[] {
  const fitted: number[] = [];
  for (const [index, value] of values.entries()) {
    const column = columnOf(index, values.length, columns);
    fitted[column] = Math.max(fitted[column] ?? 0, value);
  }
  return fitted;
}

/** Where the value at `index` of `length` is drawn. */
export function columnOf(index: number, length: number, columns: number): number {
  return length <= columns ? index : Math.floor((index * columns) / length);
}
