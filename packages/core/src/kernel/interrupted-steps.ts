import type { ScopeNode } from "./node.js";

type Finish = (node: ScopeNode, value: never) => void;

/**
 * Steps that were interrupted by an exception inside the runtime, a stack overflow as a rule: they are finished in a
 * microtask, where the stack is empty, so that no tree waits for ever.
 *
 * A handler that catches such an exception may have no room for a single call to a JavaScript function, nor for an
 * object literal (the engine checks the stack when it makes the first ones of each). So there is no function for it; a
 * handler stores three values, and calls the engine's own function with as many arguments as that declares:
 *
 *     const { steps } = unfinished;
 *     steps[steps.length] = finish;
 *     steps[steps.length] = node;
 *     steps[steps.length] = value;
 *     unfinished.wake?.(undefined);
 *     unfinished.wake = undefined;
 */
export const unfinished: {
  readonly steps: unknown[];
  /** Has the steps finished soon. Of a promise, which is made in time. */
  wake: ((value: undefined) => void) | undefined;
  /** What interrupted the last one that had nowhere to keep it. */
  error: unknown;
  /** That of lifecycle.ts, which imports what would import it. */
  advance: (node: ScopeNode) => void;
} = { steps: [], wake: undefined, error: undefined, advance() {} };

function arm(): void {
  void new Promise<undefined>((resolve) => (unfinished.wake = resolve)).then(finishAll);
}

function finishAll(): void {
  arm();
  const steps = unfinished.steps.splice(0);
  for (let at = 0; at < steps.length; at += 3) {
    try {
      (steps[at] as Finish)(steps[at + 1] as ScopeNode, steps[at + 2] as never);
    } catch (error) {
      void Promise.reject(error); // twice, and with room: not to be hidden
    }
  }
}

arm();
