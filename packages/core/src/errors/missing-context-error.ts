import { BoughError } from "./bough-error.js";
import { quotePath } from "./describe.js";

/** `scope.get(key)` found no value on the way to the root, and the key has no default. */
export class MissingContextError extends BoughError {
  constructor(key: string, path: string) {
    super(
      "BOUGH_MISSING_CONTEXT",
      `No value for context key ${JSON.stringify(key)} in scope ${quotePath(path)}`,
    );
  }

  static {
    this.prototype.name = "MissingContextError";
  }
}
