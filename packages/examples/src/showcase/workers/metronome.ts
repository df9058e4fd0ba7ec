import { selfCleaning, sleep, spawn, type Scope, type SelfCleaning } from "bough";
import type { Census } from "./census.js";

/** Has a worker that beats time. The worker knows the metronome, but not the handle that is given out. */
export class Metronome {
  beats = 0;
  readonly #census: Census;
  readonly #interval: number;

  constructor(census: Census, interval: number) {
    this.#census = census;
    this.#interval = interval;
  }

  async run(scope: Scope): Promise<void> {
    this.#census.alive += 1;
    try {
      for (;;) {
        await sleep(scope, this.#interval);
        this.beats += 1;
        this.#census.beats += 1;
      }
    } finally {
      this.#census.alive -= 1;
    }
  }
}

/**
 * Starts a metronome that stops when it is dropped; or, at the latest, with `end`.
 *
 * @param interval - Milliseconds from one beat to the next.
 */
export function startMetronome(census: Census, interval: number, end: AbortSignal): SelfCleaning<Metronome> {
  census.started += 1;
  return selfCleaning(
    (scope) => {
      const metronome = new Metronome(census, interval);
      spawn(scope, (scope) => metronome.run(scope), { name: "run" });
      return metronome;
    },
    { name: "metronome", signal: end, onOrphan: "ignore" },
  );
}
