import { inspect } from "node:util";
import { suppressed } from "../errors/suppressed.js";

/** Prints `errors` on stderr, and the errors that they suppressed, each once. */
export function printErrors(errors: readonly unknown[]): void {
  const colors = process.stderr.hasColors?.() ?? false;
  const all = new Set(errors);
  let text = "";
  // The iteration of a set also visits members that are added meanwhile.
  for (const error of all) {
    text += `${text === "" ? "" : "Suppressed: "}${safeInspect(error, colors)}\n`;
    for (const later of suppressed(error)) all.add(later);
  }
  if (text !== "") process.stderr.write(text);
}

/** An error may have getters, or a custom inspector, that throw. */
function safeInspect(error: unknown, colors: boolean): string {
  try {
    return inspect(error, { colors });
  } catch {
    return "an error that can't be printed";
  }
}
