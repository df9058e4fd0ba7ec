import { inspect } from "node:util";
import { suppressed } from "../errors/suppressed.js";

/** Prints the first of `errors` on stderr, and after it, once each, those that came later and what they suppressed. */
export function printErrors(errors: readonly unknown[]): void {
  const colors = process.stderr.hasColors?.() ?? false;
  const all = new Set(errors);
  let text = "";
  // Walking a set also visits what is added meanwhile.
  for (const error of all) {
    text += `${text === "" ? "" : "Suppressed: "}${safeInspect(error, colors)}\n`;
    for (const later of suppressed(error)) all.add(later);
  }
  if (text !== "") process.stderr.write(text);
}

/** An error may have getters, or an inspector of its own, that throw. */
function safeInspect(error: unknown, colors: boolean): string {
  try {
    return inspect(error, { colors });
  } catch {
    return "an error that can't be printed";
  }
}
