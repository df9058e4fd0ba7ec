import { realNow, turn } from "../kernel/platform.js";

/** How long others wait for their turn, in ms. */
const SLICE = 2;
/** The clock is read once in so many items. */
const STEP = 128;

/** Does something with each item, and lets the event loop have its turn every few milliseconds. */
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
