import type { TreeSource } from "../inspect/index.js";
import { realNow } from "../kernel/platform.js";
import { TreeIndex } from "./tree-index.js";

/** The newest look at a source. Whoever asks at the same time shares one. */
export class Looks {
  readonly #source: TreeSource;
  #newest: TreeIndex | undefined;
  #takenAt = -Infinity;
  #pending: Promise<TreeIndex> | undefined;

  constructor(source: TreeSource) {
    this.#source = source;
  }

  /** @param age - How old it may be, in ms. */
  async get(age: number): Promise<TreeIndex> {
    if (this.#newest !== undefined && realNow() - this.#takenAt <= age) return this.#newest;
    this.#pending ??= this.#take();
    return this.#pending;
  }

  /** Nobody looks any longer: the nodes need not be kept. */
  forget(): void {
    this.#newest = undefined;
  }

  async #take(): Promise<TreeIndex> {
    try {
      const index = await TreeIndex.of(await this.#source.look());
      this.#newest = index;
      this.#takenAt = realNow();
      return index;
    } finally {
      this.#pending = undefined;
    }
  }
}
