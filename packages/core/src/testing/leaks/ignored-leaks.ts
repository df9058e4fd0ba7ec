import type { Found } from "./resources.js";

/** The result of `ignoreCurrent()`, for the option `ignore`. */
export class IgnoredLeaks {
  readonly #known: WeakSet<object>;
  readonly #unknown: ReadonlyMap<string, number>;

  constructor(found: readonly Found[]) {
    this.#known = new WeakSet();
    const unknown = new Map<string, number>();
    for (const { identity, report } of found) {
      if (identity !== undefined) this.#known.add(identity);
      else unknown.set(report.type ?? "", (unknown.get(report.type ?? "") ?? 0) + 1);
    }
    this.#unknown = unknown;
  }

  /** The new leaks in `found`. For timers of which only the number is known, those above the earlier number. */
  static except(ignored: IgnoredLeaks, found: readonly Found[]): Found[] {
    const left = new Map(ignored.#unknown);
    return found.filter(({ identity, report }) => {
      if (identity !== undefined) return !ignored.#known.has(identity);
      const count = left.get(report.type ?? "") ?? 0;
      left.set(report.type ?? "", count - 1);
      return count <= 0;
    });
  }
}
