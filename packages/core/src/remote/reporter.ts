import { rejectUnhandled } from "../kernel/outcome.js";

/**
 * Calls the user's option `onError`, for loops that must continue: if it throws, both errors become unhandled
 * rejections, as with the `onError` of a scope.
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
