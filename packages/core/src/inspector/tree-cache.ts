import { realNow } from "../kernel/platform.js";
import { LiveTree } from "./live-tree.js";
import type { PageSource } from "./page-source.js";

/** The pause after a look is this many times its duration. So looks take at most a twentieth of the process's time. */
const PAUSE_FACTOR = 20;

/** The tree of a source, kept between looks, and the looks that update it, one at a time. */
export class TreeCache {
  readonly #source: PageSource;
  #tree: LiveTree | undefined;
  #takenAt = -Infinity;
  #nextLookAt = -Infinity;
  /** The queue of looks and reads: a read that takes several turns must not see the next look. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(source: PageSource) {
    this.#source = source;
  }

  /** How long to wait before the next look, in ms. */
  get pause(): number {
    return Math.max(0, this.#nextLookAt - realNow());
  }

  /**
   * Calls `work` with the tree.
   *
   * @param age - How old the tree may be, in ms. After an expensive look it may be older.
   */
  use<T>(age: number, work: (tree: LiveTree) => T | Promise<T>): Promise<T> {
    const result = this.#last.then(async () => work(await this.#get(age)));
    this.#last = result.catch(() => {});
    return result;
  }

  /** Drops the tree when no page is open. */
  forget(): void {
    this.#tree = undefined;
    this.#takenAt = this.#nextLookAt = -Infinity;
  }

  async #get(age: number): Promise<LiveTree> {
    const now = realNow();
    const tree = (this.#tree ??= new LiveTree());
    if (now - this.#takenAt <= age || (age > 0 && now < this.#nextLookAt)) return tree;
    try {
      await tree.update(this.#source);
    } catch (error) {
      this.forget(); // the tree is incomplete
      throw error;
    }
    if (this.#tree !== tree) return tree; // dropped during the update
    this.#takenAt = realNow();
    this.#nextLookAt = this.#takenAt + (tree.head.spent ?? 0) * PAUSE_FACTOR;
    return tree;
  }
}
