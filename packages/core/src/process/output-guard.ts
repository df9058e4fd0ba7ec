import { onTurn } from "../kernel/platform.js";

/** The codes of failed writes after the reader has closed the pipe or the terminal. */
const goneCodes: ReadonlySet<unknown> = new Set(["EPIPE", "EIO"]);

/**
 * Calls back when the reader of stdout or stderr has closed it. SIGPIPE ends other programs then. Node ignores that
 * signal and emits an error instead. Without a listener that is an uncaught exception, and cleanups would not run.
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

  /** Removes the listeners once the output so far has been written or has failed. */
  end(): void {
    for (const { stream, onError } of this.#streams) {
      // The callback of a write runs before its error is emitted.
      stream.write("", () => onTurn(() => stream.off("error", onError)));
    }
  }

  #failed(stream: NodeJS.WriteStream, error: NodeJS.ErrnoException): void {
    if (stream.listenerCount("error") > 1) return; // the program handles it
    if (!goneCodes.has(error.code)) throw error;
    this.#onGone();
  }
}
