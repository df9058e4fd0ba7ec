// The width of a text on a terminal, in columns. Node has such a function, but does not export it.

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/** East Asian wide and full-width characters, and the symbols that terminals show as wide as two letters. */
const wide =
  /^[\u1100-\u115f\u231a\u231b\u23e9-\u23ec\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f000}-\u{1faff}\u{20000}-\u{3fffd}]|\ufe0f|^\p{Emoji_Presentation}/u;
const zero = /^[\p{Mn}\p{Me}\p{Cf}]+$/u;
// eslint-disable-next-line no-control-regex -- a fast path: such a text needs no segmenter
const ascii = /^[\x20-\x7e]*$/;

function widthOfGrapheme(grapheme: string): number {
  if (zero.test(grapheme)) return 0;
  return wide.test(grapheme) ? 2 : 1;
}

/** The width of a text, in columns. */
export function widthOf(text: string): number {
  if (ascii.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += widthOfGrapheme(segment);
  return width;
}

/** Cuts a text to at most `columns` columns. The rest is replaced by `…`. */
export function cut(text: string, columns: number): string {
  if (columns <= 0) return "";
  if (ascii.test(text)) return text.length <= columns ? text : `${text.slice(0, columns - 1)}…`;
  // A name may be megabytes long: only as much of it is segmented as may fit, combining marks included.
  const start = text.slice(0, columns * 16);
  if (start.length === text.length && widthOf(text) <= columns) return text;
  let kept = "";
  let width = 0;
  for (const { segment } of graphemes.segment(start)) {
    width += widthOfGrapheme(segment);
    if (width > columns - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}

/** Cuts or pads a text to exactly `columns` columns. */
export function fit(text: string, columns: number, align: "left" | "right" = "left"): string {
  const short = cut(text, columns);
  const space = " ".repeat(Math.max(0, columns - widthOf(short)));
  return align === "left" ? short + space : space + short;
}
