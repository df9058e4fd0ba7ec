import { styleText } from "node:util";

const styles = ["bold", "dim", "red", "green", "yellow", "cyan", "magenta"] as const;

/** Colours, or nothing at all where there are none. */
export type Paint = Readonly<Record<(typeof styles)[number], (text: string) => string>>;

export function createPaint(coloured: boolean): Paint {
  const entries = styles.map((style) => [
    style,
    // The stream is asked once, by the stage; styleText would ask stdout each time.
    (text: string) => (coloured ? styleText(style, text, { validateStream: false }) : text),
  ]);
  return Object.fromEntries(entries) as Paint;
}
