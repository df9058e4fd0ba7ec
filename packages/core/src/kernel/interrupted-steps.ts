import type { ScopeNode } from "./node.js";

/** Finishes a step for `node`. Appends to `ready` the nodes that may be able to settle because of it. */
type FinishStep = (node: ScopeNode, value: never, ready: ScopeNode[]) => void;

/**
 * Steps of the runtime that an exception interrupted, a stack overflow as a rule: triples of a {@link FinishStep}, its
 * node and its value. They are finished in a microtask, where the stack is empty, so that no scope waits for ever.
 *
 * Each `catch` that stores a step repeats the same lines. **They must stay inline, and must not call `push`.**
 * Right after an overflow there may be no room for a call of a JavaScript function or for an object literal. There may
 * be none for `push` either: the engine checks the stack where a call passes more arguments than the function declares.
 * Assignments need no room, nor do the functions of `state.ts`, which the build puts where they are called. Apart from
 * these, only the engine's function is called, with the one argument that it declares:
 *
 *     interruptedSteps[interruptedSteps.length] = finish;
 *     interruptedSteps[interruptedSteps.length] = node;
 *     interruptedSteps[interruptedSteps.length] = value;
 *     interrupted.wake(undefined);
 */
export const interruptedSteps: unknown[] = [];

export const interrupted: {
  /** Schedules the microtask: the resolver of a promise that was made in advance. Takes as many arguments as it declares. */
  wake: (value: undefined) => void;
  /** The last exception that interrupted an advance. */
  error: unknown;
} = { wake: () => {}, error: undefined };

/** Finishes interrupted steps from now on. `advance` is called for each node that may be able to settle. */
export function finishInterruptedSteps(advance: (node: ScopeNode) => void): void {
  void new Promise<undefined>((resolve) => (interrupted.wake = resolve)).then(() => {
    finishInterruptedSteps(advance);
    finishAll(advance);
  });
}

function finishAll(advance: (node: ScopeNode) => void): void {
  const steps = interruptedSteps.splice(0);
  for (let at = 0; at < steps.length; at += 3) {
    try {
      const ready: ScopeNode[] = [];
      (steps[at] as FinishStep)(steps[at + 1] as ScopeNode, steps[at + 2] as never, ready);
      for (const node of ready) advance(node);
    } catch (error) {
      void Promise.reject(error); // failed twice, the second time with an empty stack: must not be hidden
    }
  }
}
