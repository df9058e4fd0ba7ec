import { sleep, spawn, withScope, type Scope } from "bough";

/** How often the loops of the original go round, `math.MaxInt32`. */
export const MAX_INT32: number = 2 ** 31 - 1;

/** Asks its parent in every round whether to go on. A scope is also asked for its deadline, which ends even a busy loop. */
export function selecting(parent: Scope, rounds: number): void {
  let i = 0;
  for (;;) {
    parent.throwIfCancelled();
    i += 1;
    if (i === rounds) break; // simulates an error that exits the loop
  }
}

/**
 * Starts a task in its parent that waits for the parent's end, to clean up then. The parent does not end with this
 * call: **the task is left behind.**
 */
export function leakyAsync(parent: Scope, rounds: number): void {
  spawn(parent, (task) => sleep(task, Infinity), { name: "LeakyAsync.func1" });

  let i = 0;
  for (;;) {
    i += 1;
    if (i === rounds) break;
  }
}

/** The same task, in a scope of the call's own: as a daemon it is cancelled, and awaited, at the end of the call. */
export async function contextAsync(parent: Scope, rounds: number): Promise<void> {
  await withScope(parent, (scope) => {
    spawn(scope, (task) => sleep(task, Infinity), { name: "ContextAsync.func1", daemon: true });

    let i = 0;
    for (;;) {
      i += 1;
      if (i === rounds) break;
    }
  });
}
