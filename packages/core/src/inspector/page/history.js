// The newest moments that the page has received, and the difference between two of them.

/** The most that is kept: bytes of received events, and moments. */
const MAX_BYTES = 8_000_000;
const MAX_MOMENTS = 1_800;

export class History {
  /** The oldest first. */
  moments = [];
  #bytes = 0;
  #sizes = [];

  add(frame, bytes) {
    this.moments.push(frame);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
    let dropped = 0;
    while (
      this.moments.length - dropped > 2 &&
      (this.#bytes > MAX_BYTES || this.moments.length - dropped > MAX_MOMENTS)
    )
      this.#bytes -= this.#sizes[dropped++];
    if (dropped === 0) return;
    this.moments.splice(0, dropped);
    this.#sizes.splice(0, dropped);
  }

  /** The moment nearest to a time. */
  near(at) {
    let best = this.moments.at(-1);
    for (const moment of this.moments)
      if (best === undefined || Math.abs(moment.at - at) < Math.abs(best.at - at)) best = moment;
    return best;
  }
}

/** The groups of two moments, those that have changed most first. */
export function difference(before, after) {
  const earlier = new Map(before.groups.map((group) => [group.key, group]));
  const rows = [];
  for (const group of after.groups) {
    rows.push(compare(earlier.get(group.key), group));
    earlier.delete(group.key);
  }
  for (const group of earlier.values()) rows.push(compare(group, undefined));
  return rows
    .filter((row) => row.grown !== 0 || row.created > 0 || row.settled > 0)
    .sort((a, b) => Math.abs(b.grown) - Math.abs(a.grown) || (b.settled ?? 0) - (a.settled ?? 0));
}

function compare(before, after) {
  const { key, name, kind, site } = after ?? before;
  const [from, to] = [before?.count ?? 0, after?.count ?? 0];
  const since = (field) => (after?.[field] === undefined ? undefined : after[field] - (before?.[field] ?? 0));
  return {
    key,
    name,
    kind,
    site,
    from,
    to,
    grown: to - from,
    created: since("created"),
    settled: since("settled"),
    what:
      from === 0 && to > 0
        ? "new"
        : from > 0 && to === 0
          ? "gone"
          : to > from
            ? "grown"
            : to < from
              ? "shrunk"
              : "",
  };
}
