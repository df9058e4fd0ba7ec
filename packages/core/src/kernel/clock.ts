/** Ages are stored relative to this, so that for the first days they are small integers, not boxed doubles. */
const epoch = Date.now();
const SMALL = 2 ** 30;
const microtask = Promise.resolve();
const { now } = Date;

let cached = -1;
let forgetLater = (): void => void microtask.then(forget);

/**
 * Milliseconds since the package was loaded, read once per synchronous burst: reading the clock costs more
 * than everything else that starting a task does. Only ages in reports come from it, never a deadline.
 */
export function burstTime(): number {
  if (Date.now !== now) return read(); // a test's
  if (cached < 0) {
    cached = read();
    forgetLater();
  }
  return cached;
}

/** Says when what was read no longer counts, instead of at the end of the burst. */
export function setBurst(after: (callback: () => void) => void): void {
  forgetLater = () => after(forget);
}

function read(): number {
  const elapsed = Date.now() - epoch;
  return elapsed >= 0 && elapsed < SMALL ? elapsed | 0 : Math.max(0, elapsed);
}

function forget(): void {
  cached = -1;
}

/** The age in ms of something that began at `burstTime`. Never negative, whatever the system clock did. */
export function ageSince(start: number): number {
  return Math.max(0, Date.now() - epoch - start);
}
