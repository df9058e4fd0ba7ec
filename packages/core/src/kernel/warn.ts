import type { BoughWarningCode } from "../errors/codes.js";

interface WarningProcess {
  emitWarning?: (message: string, options: { type: string; code: string }) => void;
}

/** A process warning where there is a process, otherwise a line on the console. */
export function warn(type: string, code: BoughWarningCode, message: string): void {
  const { process } = globalThis as { process?: WarningProcess };
  if (typeof process?.emitWarning === "function") {
    process.emitWarning(message, { type, code });
  } else {
    // oxlint-disable-next-line no-console -- where there is no process, there is no other channel for a warning
    console.warn(`${type}: ${message}`);
  }
}
