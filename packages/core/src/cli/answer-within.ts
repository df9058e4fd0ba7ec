import { moveOnAfter, type Scope } from "../index.js";

/** Waits for a promise that takes no signal, at most `ms` milliseconds; `undefined` if it has not settled by then. */
export function answerWithin<T>(scope: Scope, ms: number, answer: Promise<T>): Promise<T | undefined> {
  return moveOnAfter(scope, { timeout: ms }, (own) => {
    return new Promise<T>((resolve, reject) => {
      own.onCancel(reject);
      answer.then(resolve, reject);
    });
  });
}
