import { sleep, spawn, type Scope } from "bough";

/** Keeps exchange rates up to date until the given scope ends. */
export class Rates {
  #rates = new Map<string, number>();

  constructor(scope: Scope, load: (signal: AbortSignal) => Promise<Map<string, number>>) {
    spawn(
      scope,
      async (task) => {
        for (;;) {
          this.#rates = await load(task.signal);
          await sleep(task, 60_000);
        }
      },
      { name: "rates", daemon: true },
    );
  }

  get(currency: string): number | undefined {
    return this.#rates.get(currency);
  }
}
