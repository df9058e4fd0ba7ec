import { onTurn } from "../kernel/platform.js";

/** The codes of writes whose reader has gone: the pipe was closed, or the terminal. */
const goneCodes: ReadonlySet<unknown> = new Set(["EPIPE", "EIO"]);

/**
 * Calls back when the reader of stdout or stderr has gone. Other programs die of SIGPIPE then. Node ignores that signal and
 * emits an error instead, which without a listener is an uncaught exception: cleanups would not run.
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

  /** Removes the listeners when the output so far has arrived, or has failed to. */
  end(): void {
    for (const { stream, onError } of this.#streams) {
      // A write calls back before its error is emitted.
      stream.write("", () => onTurn(() => stream.off("error", onError)));
    }
  }

  #failed(stream: NodeJS.WriteStream, error: NodeJS.ErrnoException): void {
    if (stream.listenerCount("error") > 1) return; // the program handles it
    if (!goneCodes.has(error.code)) throw error;
    this.#onGone();
  }
}
