import { DeadlineExceededError, isCancelled, type Scope } from "bough";

/** Says what `error`, which a call in `scope` has thrown, means for the caller. */
export function explain(error: unknown, scope: Scope): string {
  if (isCancelled(error, scope)) {
    switch (error.kind) {
      case "deadline":
        return "our own time is up";
      case "disconnected":
        return "the client is gone";
      case "shutdown":
        return "the server shuts down";
      case "failure":
        return "another task of the scope has failed: error.cause says how";
      default:
        return "the scope was cancelled: error.cause may say why";
    }
  }
  // `scope` is still open: try again, or use a default.
  if (error instanceof DeadlineExceededError) return "the call took too long";
  if (isCancelled(error)) return "the call was cancelled";
  return "failed";
}
