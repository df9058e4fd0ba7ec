/** A style of a part of a line. */
export type Style = "bold" | "dim" | "red" | "yellow" | "cyan" | "selected";

/** A line before it is cut to the width of the terminal: texts with their styles. */
export type Line = readonly (readonly [text: string, ...styles: Style[]])[];

const codes: Readonly<Record<Style, string>> = {
  bold: "1",
  dim: "2",
  red: "31",
  yellow: "33",
  cyan: "36",
  selected: "7",
};

/** Adds styles to a text, or returns it unchanged if colours are off. */
export type Paint = (text: string, ...styles: readonly Style[]) => string;

/** @param coloured - If false, only the selected row is styled, with reverse video. */
export function createPaint(coloured: boolean): Paint {
  return (text, ...styles) => {
    const used = coloured ? styles : styles.filter((style) => style === "selected");
    return used.length === 0 || text === ""
      ? text
      : `\x1b[${used.map((style) => codes[style]).join(";")}m${text}\x1b[0m`;
  };
}
