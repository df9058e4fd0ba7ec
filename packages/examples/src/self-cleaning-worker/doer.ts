import { selfCleaning, sleep, spawn, type Scope, type SelfCleaning } from "bough";

let alive = 0;

/** How many daemons run at this moment: what the original prints as `runtime.NumGoroutine()`. */
export function liveDaemons(): number {
  return alive;
}

/** Has a worker, which knows it, and so keeps it alive. */
export class Doer {
  /** Works until its scope is cancelled. */
  async daemon(scope: Scope): Promise<void> {
    alive += 1;
    try {
      await sleep(scope, Infinity);
    } finally {
      alive -= 1;
    }
  }
}

/** Dropping what this returns stops nothing: the daemon lives as long as `owner`. */
export function createDoer(owner: Scope): Doer {
  const doer = new Doer();
  spawn(owner, (scope) => doer.daemon(scope), { name: "daemon" });
  return doer;
}

/** Dropping what this returns stops the daemon: the daemon knows the doer, but not the handle that is returned. */
export function createSelfCleaningDoer(): SelfCleaning<Doer> {
  return selfCleaning(startDoer, { onOrphan: "ignore", holdsProcess: false });
}

function startDoer(scope: Scope): Doer {
  return createDoer(scope);
}
