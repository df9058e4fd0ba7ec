import { constants } from "node:os";
import type { TaskInfo } from "../errors/scope-errors.js";
import { optionNames } from "../errors/option-names.js";
import {
  wrongType,
  outOfRange,
  requireFunction,
  checkDuration,
  checkOptionsObject,
} from "../errors/validate.js";
import { checkOptions, withScopeOptionNames, type ScopeOptions } from "../task/options.js";

/** The options of `main`. */
export interface MainOptions {
  /** The name of the root scope. Default: the name of the function `body`, or `"main"`. */
  readonly name?: string | undefined;
  /**
   * Milliseconds from the cancellation until the exit is forced. Default 25,000: longer than the shutdown of a server,
   * shorter than the 30 s after which Kubernetes kills the process. `Infinity`: no limit.
   */
  readonly grace?: number | undefined;
  /**
   * Milliseconds between the first signal, at which servers begin to shut down and `onShutdown` callbacks are called, and
   * the cancellation. Default 0.
   */
  readonly drainDelay?: number | undefined;
  /** The signals that cancel the scope. Default: SIGINT, SIGTERM, SIGHUP, and SIGBREAK on Windows. */
  readonly signals?: readonly NodeJS.Signals[] | undefined;
  /**
   * Receives the failure that ends the process, or a `StuckTasksError` when the exit is forced. As in other scopes, it
   * also receives failures of scopes below that no other code receives. Default: they are printed on stderr.
   */
  readonly onError?: ((error: unknown, task: TaskInfo) => void) | undefined;
  /** Decides which further errors are cancellations, as in `ScopeOptions`. Default: none. */
  readonly isCancellation?: ScopeOptions["isCancellation"];
}

const mainOptionNames = optionNames<MainOptions>({
  drainDelay: true,
  name: true,
  grace: true,
  signals: true,
  onError: true,
  isCancellation: true,
});

const DEFAULT_GRACE = 25_000;

/** SIGBREAK, Windows' Ctrl-Break, has no number elsewhere. */
const DEFAULT_SIGNALS = (["SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"] as const).filter(
  (signal) => signal in constants.signals,
);

/** Checked options with all defaults. */
export interface MainSettings {
  readonly name: string;
  readonly grace: number;
  readonly drainDelay: number;
  readonly signals: readonly NodeJS.Signals[];
  readonly onError: MainOptions["onError"];
  readonly isCancellation: MainOptions["isCancellation"];
}

export function readOptions(body: unknown, options: MainOptions | undefined): MainSettings {
  requireFunction("main", "body", body);
  if (options !== undefined) checkOptionsObject("main", options, mainOptionNames);
  const {
    name = body.name || "main",
    grace = DEFAULT_GRACE,
    drainDelay = 0,
    signals = DEFAULT_SIGNALS,
    onError,
    isCancellation,
  } = options ?? {};
  checkOptions("main", { name, grace, onError, isCancellation }, withScopeOptionNames);
  checkDuration("main", "drainDelay", drainDelay);
  checkSignals(signals);
  return { name, grace, drainDelay, signals: [...new Set(signals)], onError, isCancellation };
}

function checkSignals(signals: unknown): void {
  if (!Array.isArray(signals))
    throw wrongType("main", 'signals must be an array such as ["SIGINT"]', signals);
  for (const signal of signals as readonly unknown[]) {
    if (typeof signal !== "string") throw wrongType("main", "signals must be names of signals", signal);
    if (!(signal in constants.signals)) throw outOfRange("main", "signals must be names of signals", signal);
    if (signal === "SIGKILL" || signal === "SIGSTOP")
      throw outOfRange("main", "signals must be names of signals that can be caught", signal);
  }
}
