import { rejectUnhandled } from "../kernel/outcome.js";

/**
 * The option `onError` of a user, for loops that must go on: if it throws, both errors become unhandled rejections, as with
 * the `onError` of a scope.
 */
export function reporterOf(onError: ((error: unknown) => void) | undefined): (error: unknown) => void {
  return (error) => {
    try {
      onError?.(error);
    } catch (thrown) {
      rejectUnhandled(error);
      if (thrown !== error) rejectUnhandled(thrown);
    }
  };
}
