import { BoughError } from "../../errors/bough-error.js";

/**
 * The channel is closed: thrown by `receive` when nothing is left in it, and by `send` at once. Its `cause` is what
 * `close(cause)` was given.
 */
export class ChannelClosedError extends BoughError {
  constructor(operation: string, options?: ErrorOptions) {
    super("BOUGH_CHANNEL_CLOSED", `${operation}: the channel is closed`, options);
  }

  static {
    this.prototype.name = "ChannelClosedError";
  }
}
