import type { ScopeNode } from "../kernel/node.js";
import { LongTimer } from "../kernel/long-timer.js";
import { watchWrites } from "./symbols.js";
import { isResponse, type AnyResponse } from "./messages.js";

/** How often to look, in ms. */
const STEP = 50;

/**
 * Calls back when a cancelled request has been silent for `patience` ms: no task of its scope is alive, and nothing has been
 * written to its response. A handler of `node:http` that returns without an answer can't be seen to do so; one that is
 * still at work after its tasks have settled and its calls have been aborted gets this much time to answer.
 *
 * @param isOver - Ends the watch.
 */
export function awaitSilence(
  node: ScopeNode,
  response: AnyResponse,
  patience: number,
  isOver: () => boolean,
  callback: () => void,
): void {
  let written = false;
  if (isResponse(response) && response.headersSent) watchWrites(response, () => (written = true));
  let silent = 0;
  const look = (): void => {
    if (isOver()) return;
    const isBusy = node.first !== undefined || written || response.writableLength > 0;
    written = false;
    silent = isBusy ? 0 : silent + STEP;
    if (silent >= patience) return callback();
    wait();
  };
  const wait = (): void => void new LongTimer(STEP, look);
  wait();
}
