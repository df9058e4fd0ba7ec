import { onTurn, setUnrefTimer } from "../kernel/platform.js";

/**
 * How long a repeated signal counts as the same one, in ms. A terminal sends Ctrl-C to its whole process group, and
 * `node --watch`, `tsx`, nodemon and npx forward it to their child. So the child receives it twice, 0 to 34 ms apart,
 * and sometimes as another signal. A person takes longer.
 */
const REPEATS = 250;

let isOpen = false;
let waiting: (() => void)[] = [];

/** Whether a signal that arrives now is a repetition. Shared by the whole process, since its parents repeat signals. */
export function isRepeated(): boolean {
  return isOpen;
}

/** Called after the first signal was handled. */
export function expectRepeats(): void {
  if (isOpen) return;
  isOpen = true;
  // Signals that arrive while the event loop is busy are handled after the timers and before `setImmediate`.
  setUnrefTimer(() => onTurn(close), REPEATS);
}

function close(): void {
  isOpen = false;
  const callbacks = waiting;
  waiting = [];
  for (const callback of callbacks) callback();
}

/** Calls back when the next signal counts again. */
export function afterRepeats(callback: () => void): void {
  if (isOpen) waiting.push(callback);
  else callback();
}
