import { onTurn } from "../kernel/platform.js";

/** Says that nobody reads on: the pipe was closed, or the terminal is gone. */
const goneCodes: ReadonlySet<unknown> = new Set(["EPIPE", "EIO"]);

/**
 * Hears when nobody reads stdout or stderr any more. Other programs die of SIGPIPE then; Node ignores that signal and
 * makes it an error event, which, unless somebody listens, is an uncaught exception: cleanups would not run.
 */
export class OutputGuard {
  readonly #onGone: () => void;
  readonly #streams = [process.stdout, process.stderr].map((stream) => {
    const onError = (error: NodeJS.ErrnoException): void => this.#failed(stream, error);
    stream.on("error", onError);
    return { stream, onError };
  });

  constructor(onGone: () => void) {
    this.#onGone = onGone;
  }

  /** Lets go of the streams when what was written to them has arrived, or has failed to. */
  end(): void {
    for (const { stream, onError } of this.#streams) {
      // A write calls back before its error is emitted.
      stream.write("", () => onTurn(() => stream.off("error", onError)));
    }
  }

  #failed(stream: NodeJS.WriteStream, error: NodeJS.ErrnoException): void {
    if (stream.listenerCount("error") > 1) return; // the program's own affair
    if (!goneCodes.has(error.code)) throw error;
    this.#onGone();
  }
}
