interface Waiting<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** Combines the calls of one turn, and calls during a pending call, into one call. */
export class Batcher<Item, Result> {
  readonly #call: (items: readonly Item[]) => Promise<readonly Result[]>;
  readonly #maxItems: number;
  readonly #maxCalls: number;
  #waiting: Waiting<Item, Result>[] = [];
  #calls = 0;
  #isScheduled = false;

  constructor(
    call: (items: readonly Item[]) => Promise<readonly Result[]>,
    { maxItems = 200, maxCalls = 3 }: { readonly maxItems?: number; readonly maxCalls?: number } = {},
  ) {
    this.#call = call;
    this.#maxItems = maxItems;
    this.#maxCalls = maxCalls;
  }

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (this.#isScheduled) return;
      this.#isScheduled = true;
      void Promise.resolve().then(() => {
        this.#isScheduled = false;
        this.#flush();
      });
    });
  }

  #flush(): void {
    while (this.#waiting.length > 0 && this.#calls < this.#maxCalls) {
      const batch = this.#waiting.splice(0, this.#maxItems);
      this.#calls += 1;
      void this.#run(batch);
    }
  }

  async #run(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await this.#call(batch.map(({ item }) => item));
      batch.forEach(({ resolve }, index) => resolve(results[index] as Result));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    this.#calls -= 1;
    this.#flush();
  }
}
