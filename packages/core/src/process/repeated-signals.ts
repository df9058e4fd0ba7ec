import { onTurn, setUnrefTimer } from "../kernel/platform.js";

/**
 * How long a signal may arrive again and still be the same one, in ms. A terminal sends Ctrl-C to all of its process
 * group, and `node --watch`, `tsx`, nodemon and npx pass it on to their child, which so gets it twice: 0 to 34 ms apart,
 * and sometimes as another signal. A person takes longer.
 */
const REPEATS = 250;

let isOpen = false;
let waiting: (() => void)[] = [];

/** Whether a signal that arrives now is a repetition. For all of the process, since its parents are. */
export function isRepeated(): boolean {
  return isOpen;
}

/** The first signal has arrived, and has been acted upon. */
export function expectRepeats(): void {
  if (isOpen) return;
  isOpen = true;
  // Signals that arrived while the event loop was busy are read after the timers and before `setImmediate`.
  setUnrefTimer(() => onTurn(close), REPEATS);
}

function close(): void {
  isOpen = false;
  const callbacks = waiting;
  waiting = [];
  for (const callback of callbacks) callback();
}

/** Calls back when a signal that arrives counts again. */
export function afterRepeats(callback: () => void): void {
  if (isOpen) waiting.push(callback);
  else callback();
}
