import { DeadlineExceededError, isCancelled, type Scope } from "bough";

/** Explains an `error` that was thrown by a call in `scope`. */
export function explain(error: unknown, scope: Scope): string {
  if (isCancelled(error, scope)) {
    switch (error.kind) {
      case "deadline":
        return "the scope timed out";
      case "disconnected":
        return "the client disconnected";
      case "shutdown":
        return "the server is shutting down";
      case "failure":
        return "another task of the scope failed: see error.cause";
      default:
        return "the scope was cancelled: see error.cause";
    }
  }
  // `scope` is still open: retry, or use a default.
  if (error instanceof DeadlineExceededError) return "the call took too long";
  if (isCancelled(error)) return "the call was cancelled";
  return "failed";
}
