const units: readonly (readonly [name: string, ms: number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
];

/** A duration for people, in the largest unit that fits: `340 ms`, `1.5 s`, `12 min`. */
export function formatDuration(ms: number): string {
  for (const [name, size] of units) {
    const amount = ms / size;
    // Above ten, tenths are noise. Rounded down, as is usual for ages: 9.96 is not 10 yet.
    if (amount >= 1) return `${amount >= 10 ? Math.floor(amount) : Math.floor(amount * 10) / 10} ${name}`;
  }
  return `${Math.max(0, Math.floor(ms))} ms`;
}
