/** The destination of `pipe`. */
export interface Sink {
  /** Rejects when the sink fails, for any cause. May also stay pending or resolve at the end. */
  readonly failed: Promise<unknown>;
  /** Resolves when there is room for more. */
  write(chunk: unknown): Promise<void>;
  /** Resolves when everything is written. */
  end(): Promise<void>;
  /** Aborts the destination, and waits until that is done. */
  abort(reason: unknown): Promise<void>;
  release(): void;
}
