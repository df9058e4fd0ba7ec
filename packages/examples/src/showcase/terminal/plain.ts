import type { Paint } from "./paint.js";
import type { Output, Stage } from "./stage.js";

/** One line a second, for CI and pipes. */
export function createPlainStage(output: Output, paint: Paint): Stage {
  return {
    paint,
    interval: 1_000,
    draw: (view) => void output.write(`${view.line()}\n`),
    clear: () => {},
    print: (lines) => void output.write(lines.map((line) => `${line}\n`).join("")),
  };
}
