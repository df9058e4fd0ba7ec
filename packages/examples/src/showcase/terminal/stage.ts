import type { Scope } from "bough";
import { createPaint, type Paint } from "./paint.js";
import { createPlainStage } from "./plain.js";
import { createTerminalStage } from "./terminal.js";

/** How much there is to draw on. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** A display that changes. */
export interface View {
  /** The whole picture, for a terminal: at most `size.rows` lines. */
  frame(size: Size): readonly string[];
  /** The same in one line, for a log. */
  line(): string;
}

/** Where the showcase is shown. */
export interface Stage {
  readonly paint: Paint;
  /** Milliseconds from one picture to the next. */
  readonly interval: number;
  /** Shows a picture, in the place of the last one where that is possible. */
  draw(view: View): void;
  /** Takes the last picture away. */
  clear(): void;
  /** Writes lines that stay. */
  print(lines: readonly string[]): void;
}

/** The part of `process.stdout` that a stage uses. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  hasColors?(): boolean;
}

/**
 * Opens the stage that suits `output`: pictures that are redrawn in place on a terminal, else plain lines.
 * `hasColors` knows NO_COLOR, FORCE_COLOR and dumb terminals.
 */
export function openStage(scope: Scope, output: Output): Stage {
  if (output.isTTY !== true || process.env["TERM"] === "dumb") {
    return createPlainStage(output, createPaint(false));
  }
  return createTerminalStage(scope, output, createPaint(output.hasColors?.() ?? false));
}
