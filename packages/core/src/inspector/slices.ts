import { realNow, turn } from "../kernel/platform.js";

/** How long the event loop is blocked at a time, in ms. */
const SLICE = 2;
/** The clock is read once per this many items. */
const STEP = 128;

/** Calls `visit` for each item, and returns to the event loop every few milliseconds. */
export async function inSlices<T>(items: Iterable<T>, visit: (item: T) => void): Promise<void> {
  let begun = realNow();
  let count = 0;
  for (const item of items) {
    visit(item);
    if (++count % STEP !== 0 || realNow() - begun < SLICE) continue;
    await turn();
    begun = realNow();
  }
}
