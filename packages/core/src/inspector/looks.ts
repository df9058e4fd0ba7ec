import { realNow } from "../kernel/platform.js";
import { LiveTree } from "./live-tree.js";
import type { PageSource } from "./page-source.js";

/** A look may take a twentieth of the time of the process: the next one waits so many times as long as it has taken. */
const SHARE = 20;

/** The looks at a source, one at a time. */
export class Looks {
  readonly #source: PageSource;
  #tree: LiveTree | undefined;
  #takenAt = -Infinity;
  #paidAt = -Infinity;
  /** Looks and answers in turn: an answer that is given in parts must not see the next look. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(source: PageSource) {
    this.#source = source;
  }

  /** How long the next look should wait after the last one, in ms. */
  get pause(): number {
    return Math.max(0, this.#paidAt - realNow());
  }

  /**
   * Does something with the tree.
   *
   * @param age - How old it may be, in ms; older after a look that has cost much.
   */
  use<T>(age: number, work: (tree: LiveTree) => T | Promise<T>): Promise<T> {
    const result = this.#last.then(async () => work(await this.#get(age)));
    this.#last = result.catch(() => {});
    return result;
  }

  /** Nobody looks any longer: nothing need be kept. */
  forget(): void {
    this.#tree = undefined;
    this.#takenAt = this.#paidAt = -Infinity;
  }

  async #get(age: number): Promise<LiveTree> {
    const now = realNow();
    const tree = (this.#tree ??= new LiveTree());
    if (now - this.#takenAt <= age || (age > 0 && now < this.#paidAt)) return tree;
    try {
      await tree.update(this.#source);
    } catch (error) {
      this.forget(); // half of a look is none
      throw error;
    }
    if (this.#tree !== tree) return tree; // forgotten meanwhile
    this.#takenAt = realNow();
    this.#paidAt = this.#takenAt + (tree.head.spent ?? 0) * SHARE;
    return tree;
  }
}
