import { BoughError } from "../errors/bough-error.js";
import { optionNames } from "../errors/option-names.js";
import { checkOptionsObject, outOfRange, requireType } from "../errors/validate.js";
import { calendarNow, realNow } from "../kernel/platform.js";
import { RecordedData, type Recording } from "./recording.js";
import { findChannels, EventLog, type ChannelModule } from "./event-log.js";

/** The options of {@link createRecorder}. */
export interface RecorderOptions {
  /**
   * The memory limit of the recording in bytes, from 65,536 to 1 GiB. An event takes 32 bytes. Default: 4 MiB, about
   * 115,000 events.
   */
  readonly bytes?: number;
}

const recorderOptionNames = optionNames<RecorderOptions>({ bytes: true });

export const DEFAULT_BYTES: number = 4 * 2 ** 20;
const MIN_BYTES = 2 ** 16;
const MAX_BYTES = 2 ** 30;

/** Records the starts, ends and cancellations of scopes in a ring. Made by {@link createRecorder}. */
export interface Recorder extends Disposable {
  /** Whether it is recording: from its creation until `stop()`. */
  readonly isRecording: boolean;
  /** Returns the events so far and the live scopes. The recording continues. */
  take(): Recording;
  /** Ends the recording, as disposal does. Its events can still be taken. */
  stop(): void;
}

/**
 * Starts a flight recorder for all scopes of the process. It keeps the latest events, in memory that is allocated once.
 * The recorder keeps numbers and names, no scope, value or error, and does not keep the process alive. {@link
 * Recorder.take} returns a recording, for {@link encodeRecording}, {@link toChromeTrace}, {@link toPrometheus}
 * and {@link recordedScopes}.
 *
 * It listens to the diagnostics channels, until `stop()`.
 *
 * @param options - How much memory to use.
 * @returns The recorder, which is recording.
 * @throws {TypeError | RangeError} If an option is wrong.
 * @throws {BoughError} With the code `BOUGH_RECORDING`, where the runtime has no diagnostics channels.
 * @example
 * ```ts
 * const recorder = createRecorder({ bytes: 2 ** 20 });
 * await withScope({ name: "shop" }, (scope) => spawn(scope, async function order() {}));
 * const recording = recorder.take();
 * recorder.stop();
 * const starts = [...recording.events].filter(({ type }) => type === "start");
 * console.log(starts.map(({ name }) => name)); // [ "shop", "order" ]
 * ```
 */
export function createRecorder(options: RecorderOptions = {}): Recorder {
  checkOptionsObject("createRecorder", options, recorderOptionNames, "{ bytes: 4194304 }");
  const { bytes = DEFAULT_BYTES } = options;
  requireType("createRecorder", "bytes", "number", bytes);
  if (!Number.isInteger(bytes) || bytes < MIN_BYTES || bytes > MAX_BYTES)
    throw outOfRange(
      "createRecorder",
      `bytes must be a whole number from ${MIN_BYTES} (64 KiB) to ${MAX_BYTES} (1 GiB)`,
      bytes,
    );
  const channels = findChannels();
  if (channels === undefined)
    throw new BoughError(
      "BOUGH_RECORDING",
      "createRecorder: this runtime has no node:diagnostics_channel, which the recorder needs; use Node, Deno or Bun",
    );
  return new ChannelRecorder(new EventLog(bytes, { now: realNow, calendar: calendarNow }), channels);
}

class ChannelRecorder implements Recorder {
  readonly #log: EventLog;
  #unsubscribe: (() => void) | undefined;

  constructor(log: EventLog, channels: ChannelModule) {
    this.#log = log;
    log.recordFound();
    this.#unsubscribe = log.listen(channels);
  }

  get isRecording(): boolean {
    return this.#unsubscribe !== undefined;
  }

  take(): Recording {
    this.#log.recordAllAlive();
    return new RecordedData(this.#log.header(), this.#log.records());
  }

  stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }

  [Symbol.dispose](): void {
    this.stop();
  }
}
