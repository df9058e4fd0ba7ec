/** A span of time that occupies a track, such as a slice of a trace. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * Assigns a track to each span, with the smallest number of tracks. Spans must be passed in the order of their starts.
 */
export class TrackPool<L> {
  /** A binary heap: the track that becomes free first is at the top. */
  readonly #heap: { freeAt: number; readonly track: L }[] = [];
  readonly #make: (index: number) => L;

  constructor(make: (index: number) => L) {
    this.#make = make;
  }

  take({ start, end }: Span): L {
    const heap = this.#heap;
    const first = heap[0];
    if (first !== undefined && first.freeAt <= start) {
      first.freeAt = end;
      this.#sink();
      return first.track;
    }
    const track = this.#make(heap.length);
    heap.push({ freeAt: end, track });
    this.#siftUp();
    return track;
  }

  #siftUp(): void {
    for (let at = this.#heap.length - 1; at > 0;) {
      const parent = (at - 1) >> 1;
      if (this.#freeAt(parent) <= this.#freeAt(at)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #sink(): void {
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      const least = this.#freeAt(left + 1) < this.#freeAt(left) ? left + 1 : left;
      if (this.#freeAt(at) <= this.#freeAt(least)) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #freeAt(index: number): number {
    return this.#heap[index]?.freeAt ?? Infinity;
  }

  #swap(a: number, b: number): void {
    const heap = this.#heap;
    [heap[a], heap[b]] = [heap[b] as never, heap[a] as never];
  }
}
