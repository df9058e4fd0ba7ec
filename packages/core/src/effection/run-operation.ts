import { createContext, run, type Context, type Operation } from "effection";
import type { CancelledError } from "../errors/cancelled.js";
import { workKind } from "../errors/scope-errors.js";
import { addHook, Hook, removeHook } from "../kernel/cancel-hooks.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { notifyLateHook } from "../kernel/lifecycle.js";

/** The Effection context with the bough scope that an operation runs in. Exported by `bough/effection`. */
export const boughScope: Context<Scope> = createContext<Scope>("bough.scope");

/**
 * Runs an Effection operation as the body of `node`. Cancellation halts it, and the promise settles when its
 * tear-down has ended. An error in the tear-down is a failure.
 */
export async function runOperation(node: ScopeNode, operation: Operation<unknown>): Promise<unknown> {
  if (node.cancelled) throw node.reason as CancelledError;
  node.ensureExtras().bodyKind = workKind("operation", "its Effection operation has not ended");
  const task = run(function* () {
    yield* boughScope.set(node);
    return yield* operation;
  });
  const hook = new HaltHook(task);
  // The operation may have cancelled its scope already.
  if (node.cancelled) notifyLateHook(node, hook);
  else addHook(node, hook);
  try {
    return await task;
  } catch (error) {
    if (hook.halted === undefined || !isHalt(error)) throw error;
    await hook.halted;
    throw node.reason as CancelledError;
  } finally {
    removeHook(node, hook);
  }
}

class HaltHook extends Hook {
  halted: Promise<void> | undefined = undefined;
  readonly #task: ReturnType<typeof run>;

  constructor(task: ReturnType<typeof run>) {
    super();
    this.#task = task;
  }

  run(): void {
    // Effection starts to halt only when the `then` of the result is called.
    this.halted = new Promise((resolve, reject) => {
      this.#task.halt().then(resolve, reject);
    });
    this.halted.catch(() => undefined); // awaited, and so reported, by runOperation
  }
}

/** Effection has no class for it: a halted task rejects with a plain `Error("halted")`. */
function isHalt(error: unknown): boolean {
  return error instanceof Error && error.message === "halted";
}
