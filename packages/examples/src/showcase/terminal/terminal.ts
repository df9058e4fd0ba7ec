import type { Scope } from "bough";
import type { Paint } from "./paint.js";
import type { Output, Stage } from "./stage.js";

const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";
/** Long lines are cut off at the edge: a wrapped one would count as two when the picture is replaced. */
const NO_WRAP = "\x1b[?7l";
const WRAP = "\x1b[?7h";
const CLEAR_LINE_END = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";

/** Redraws the picture in its place. The cursor is visible again when `scope` ends, however it ends. */
export function createTerminalStage(scope: Scope, output: Output, paint: Paint): Stage {
  let height = 0;
  const toTop = (): string => (height > 0 ? `\x1b[${height}A\r` : "");

  output.write(HIDE_CURSOR);
  scope.defer(() => output.write(SHOW_CURSOR));

  return {
    paint,
    interval: 100,
    draw(view) {
      // The last row is the cursor's.
      const rows = Math.max((output.rows ?? 24) - 1, 1);
      const lines = view.frame({ columns: output.columns ?? 80, rows }).slice(0, rows);
      const picture = lines.map((line) => `${line}${CLEAR_LINE_END}\n`).join("");
      // In one write: half a picture would flicker.
      output.write(NO_WRAP + toTop() + picture + CLEAR_BELOW + WRAP);
      height = lines.length;
    },
    clear() {
      output.write(toTop() + CLEAR_BELOW);
      height = 0;
    },
    print: (lines) => void output.write(lines.map((line) => `${line}\n`).join("")),
  };
}
