import { onTurn, realNow, setUnrefTimer } from "../kernel/platform.js";

/**
 * How long after a signal a further one counts as the same signal, in ms. A terminal sends Ctrl-C to its whole process group, and
 * `node --watch`, `tsx`, nodemon and npx forward it to their child. So the child receives it twice, 0 to 34 ms apart,
 * and sometimes as another signal. A person takes longer.
 */
const REPEATS = 250;

/**
 * Each repetition starts the time again, up to this long after the first signal, in ms. nodemon sends four signals, the
 * last one from a shell.
 */
const MAX_REPEATS = 1_000;

let isOpen = false;
/** On the clock of `realNow`. */
let closesAt = 0;
let closesAtLatest = 0;
let waiting: (() => void)[] = [];

/** Whether a signal that has just arrived is a repetition. Shared by the whole process, since its parents repeat signals. */
export function takeRepeat(): boolean {
  if (isOpen) closesAt = Math.min(realNow() + REPEATS, closesAtLatest);
  return isOpen;
}

/** Called after the first signal was handled. */
export function expectRepeats(): void {
  if (isOpen) return;
  isOpen = true;
  const now = realNow();
  closesAt = now + REPEATS;
  closesAtLatest = now + MAX_REPEATS;
  closeIn(REPEATS);
}

function closeIn(ms: number): void {
  // Signals that arrive while the event loop is busy are handled after the timers and before `setImmediate`.
  setUnrefTimer(() => onTurn(closeWhenDue), ms);
}

function closeWhenDue(): void {
  const left = closesAt - realNow();
  if (left > 0) closeIn(left);
  else close();
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
