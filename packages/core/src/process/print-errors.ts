import { inspect } from "node:util";
import { suppressed } from "../errors/suppressed.js";

/** Prints `errors` and the errors that they suppressed on stderr, each once. */
export function printErrors(errors: readonly unknown[]): void {
  const colors = process.stderr.hasColors?.() ?? false;
  const all = new Set(errors);
  let text = "";
  // Iterating over a set also visits members that are added during the iteration.
  for (const error of all) {
    text += `${text === "" ? "" : "Suppressed: "}${safeInspect(error, colors)}\n`;
    for (const later of suppressed(error)) all.add(later);
  }
  if (text !== "") process.stderr.write(text);
}

/** Getters or a custom inspector of an error may throw. */
function safeInspect(error: unknown, colors: boolean): string {
  try {
    return inspect(error, { colors });
  } catch {
    return "an error that can't be printed";
  }
}
