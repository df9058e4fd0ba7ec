import type { CancelHook } from "../kernel/node.js";

/** A wait of a scope's worker, as `bough/inspect` shows it. */
export interface WaitInfo {
  /** The public function: `sleep`, `receive`, `acquire`, … */
  readonly operation: string;
  /** Milliseconds until its timer fires. */
  readonly left?: number;
  /** Its position in its queue, from 1. Only for the first hundred. */
  readonly position?: number;
  /** The number of waits in that queue. */
  readonly of?: number;
  /** The `id`s of all scopes that hold permits of the semaphore. Absent if there are more than 16. */
  readonly heldBy?: readonly number[];
}

/** A wait: a `ScopedWait` of this copy of the package or of another. Not each has all these fields. */
interface Wait extends CancelHook {
  readonly operation: string;
  /** When its timer fires, on the clock of its copy. */
  readonly due?: number;
  readonly queue?: { readonly size: number } | undefined;
  readonly ahead?: Pick<Wait, "ahead"> | undefined;
  /** The permits of its semaphore, newest first. */
  readonly held?: { readonly first: HeldPermit | undefined };
}

interface HeldPermit {
  readonly holder: number;
  readonly older: HeldPermit | undefined;
}

/** Positions farther back are not counted: inspecting a queue must not take quadratic time. */
const MAX_POSITION = 100;

/** If there are more holders than this, a report names none, because a partial list would look complete. */
const MAX_HOLDERS = 16;

/** Whether a hook is a wait in a function of bough, and no callback. */
export function isWait(hook: CancelHook): hook is Wait {
  return "operation" in hook;
}

export function describeWait(wait: Wait, now: number): WaitInfo {
  const { operation, due = Infinity, queue, held } = wait;
  return {
    operation,
    ...(due === Infinity ? {} : { left: Math.max(0, due - now) }),
    ...(queue === undefined ? {} : placeOf(wait, queue.size)),
    ...(held === undefined ? {} : holdersOf(held.first)),
  };
}

function placeOf(wait: Wait, of: number): Pick<WaitInfo, "position" | "of"> {
  let position = 1;
  let { ahead } = wait;
  for (; ahead !== undefined && position < MAX_POSITION; ahead = ahead.ahead) position += 1;
  return ahead === undefined ? { position, of } : { of };
}

function holdersOf(first: HeldPermit | undefined): Pick<WaitInfo, "heldBy"> {
  const heldBy: number[] = [];
  for (let at = first; at !== undefined; at = at.older) {
    if (heldBy.length === MAX_HOLDERS) return {};
    heldBy.push(at.holder);
  }
  return { heldBy };
}
