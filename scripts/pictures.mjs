// Draws the pictures of the guide: one SVG in docs/guide/images for each text file in scripts/pictures.
//
//   node scripts/pictures.mjs
//
// A text file has a line `kind: tree | states | timeline`, a `title:`, a `description:` for screen readers, and then the
// lines that its kind understands (see the functions below). The SVG follows the reader's colour scheme.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const WIDTH = 560;
const MARGIN = 20;
/** Width of a character of the fixed-width font and mean width of the other one, for a font of one pixel. */
const MONO = 0.602;
const SANS = 0.53;

const STYLE = `
.page{fill:#ffffff;stroke:#d0d7de}
text{fill:#1f2328;font:14px ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif}
.title{font-weight:600;font-size:16px}
.head{font-weight:600;font-size:13px}
.muted{fill:#59636e}
.code{font:600 14px ui-monospace,SFMono-Regular,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace}
.edge{fill:none;stroke:#818b98;stroke-width:1.5}
.guide{stroke:#818b98;stroke-width:1.25;stroke-dasharray:4 4}
.rule{stroke:#d0d7de}
.arrow{fill:#818b98}
.box{stroke-width:1.5}
.plain{fill:#eef1f4;stroke:#818b98}
.good{fill:#dafbe1;stroke:#2da44e}
.failed{fill:#ffebe9;stroke:#cf222e}
.cancelled{fill:#fff1cc;stroke:#bf8700}
.cleanup{fill:#ffe2b8;stroke:#bf8700;stroke-dasharray:4 3}
.accent{fill:#ddf4ff;stroke:#0969da}
.daemon{fill:#fbefff;stroke:#8250df}
.number{fill:#0969da}
.digit{fill:#ffffff;font-weight:600;font-size:13px}
@media (prefers-color-scheme:dark){
.page{fill:#0d1117;stroke:#3d444d}
text{fill:#f0f6fc}
.muted{fill:#b1bac4}
.edge{stroke:#9198a1}
.guide{stroke:#9198a1}
.rule{stroke:#3d444d}
.arrow{fill:#9198a1}
.plain{fill:#212830;stroke:#9198a1}
.good{fill:#12351f;stroke:#3fb950}
.failed{fill:#4c1418;stroke:#f85149}
.cancelled{fill:#42300a;stroke:#d29922}
.cleanup{fill:#5a3c06;stroke:#d29922}
.accent{fill:#0c2d54;stroke:#4493f8}
.daemon{fill:#2f1c4d;stroke:#ab7df8}
.number{fill:#1f6feb}
.digit{fill:#ffffff}
}`;

const escape = (text) =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
const round = (value) => Math.round(value * 10) / 10;

function label(x, y, text, { kind = "", anchor = "start" } = {}) {
  const at = anchor === "start" ? "" : ` text-anchor="${anchor}"`;
  return `<text x="${round(x)}" y="${round(y)}"${at}${kind && ` class="${kind}"`}>${escape(text)}</text>`;
}

const rectangle = (x, y, width, height, kind, radius = 6) =>
  `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" rx="${radius}" class="box ${kind}"/>`;

const numbered = (x, y, number) =>
  `<circle cx="${round(x)}" cy="${round(y)}" r="10" class="number"/>${label(x, y + 4.5, String(number), { kind: "digit", anchor: "middle" })}`;

/** Breaks `text` into lines of at most `width` pixels in the proportional font. */
function wrap(text, width, size = 14) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && longer.length * size * SANS > width) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

/** The lines below the picture: ⟨number⟩ text, or ⟨colour⟩ text. */
function legend(entries, top) {
  const parts = [];
  let y = top;
  for (const { mark, text } of entries) {
    parts.push(
      /^\d+$/.test(mark) ? numbered(MARGIN + 10, y - 5, mark) : rectangle(MARGIN, y - 13, 20, 16, mark, 4),
    );
    for (const line of wrap(text, WIDTH - 2 * MARGIN - 32)) {
      parts.push(label(MARGIN + 32, y, line));
      y += 20;
    }
    y += 6;
  }
  return { parts, bottom: y - 20 };
}

/**
 * A tree. A line is `name`, indented by two spaces for each level, then ` [colour]` and ` | text` for each column. With
 * `columns:` the texts are in columns, and a number is drawn in a circle; otherwise the one text stands below the name.
 */
function tree({ lines, columns, legend: entries }, top) {
  const parts = [];
  const rows = lines.map((line) => {
    const [, indent, name, kind = "plain", rest = ""] = /^( *)(.+?)(?: \[(\w+)\])?(?: \| (.*))?$/.exec(line);
    return { depth: indent.length / 2, name, kind, cells: rest.split("|").map((cell) => cell.trim()) };
  });
  const xOf = (index) => WIDTH - MARGIN - (columns.length - index - 0.5) * 84;
  const height = columns.length > 0 ? 44 : 62;
  let y = top;
  if (columns.length > 0) {
    columns.forEach((head, index) =>
      parts.push(label(xOf(index), y + 4, head, { kind: "head", anchor: "middle" })),
    );
    y += 18;
  }
  const places = rows.map((row, index) => ({ ...row, x: MARGIN + row.depth * 30, y: y + index * height }));
  places.forEach((place, index) => {
    const parent = places.slice(0, index).findLast((other) => other.depth < place.depth);
    if (parent !== undefined)
      parts.push(`<path d="M${parent.x + 14} ${parent.y + 30}V${place.y + 15}H${place.x}" class="edge"/>`);
  });
  for (const { name, kind, cells, x, y: rowTop } of places) {
    const width = name.length * 14 * MONO + 22;
    if (columns.length > 0)
      parts.unshift(
        `<line x1="${MARGIN}" x2="${WIDTH - MARGIN}" y1="${rowTop + 37}" y2="${rowTop + 37}" class="rule"/>`,
      );
    parts.push(rectangle(x, rowTop, width, 30, kind), label(x + 11, rowTop + 20, name, { kind: "code" }));
    if (columns.length === 0) parts.push(label(x + 34, rowTop + 48, cells[0], { kind: "muted" }));
    else
      cells.forEach((cell, index) => {
        if (/^\d+$/.test(cell)) parts.push(numbered(xOf(index), rowTop + 15, cell));
        else parts.push(label(xOf(index), rowTop + 20, cell, { kind: "muted", anchor: "middle" }));
      });
  }
  const bottom = y + rows.length * height;
  if (entries.length === 0) return { parts, bottom };
  const below = legend(entries, bottom + 22);
  return { parts: [...parts, ...below.parts], bottom: below.bottom + 8 };
}

/**
 * States and transitions. `state name x y [colour] | text` puts a box with its centre at x, y. `edge x,y x,y … | text | x y`
 * draws an arrow through the points, with the text at x, y. `note | text | x y` writes the text only.
 */
function states({ lines, legend: entries }, top) {
  const parts = [];
  let bottom = top;
  for (const line of lines) {
    const state = /^state (\S+) (\d+) (\d+) \[(\w+)\] \| (.*)$/.exec(line);
    if (state) {
      const [, name, x, y, kind, text] = state;
      const middle = top + Number(y);
      parts.push(rectangle(x - 86, middle - 28, 172, 56, kind, 10));
      parts.push(label(Number(x), middle - 4, name, { kind: "code", anchor: "middle" }));
      parts.push(label(Number(x), middle + 16, text, { kind: "muted", anchor: "middle" }));
      bottom = Math.max(bottom, middle + 36);
      continue;
    }
    const [, word, path, text = "", place = ""] = /^(edge|note) (.*?)(?:\| (.*?) \| (.*))?$/.exec(line);
    const points = path
      .trim()
      .split(" ")
      .map((point) => point.split(",").map(Number));
    if (word === "edge")
      parts.push(
        `<path d="M${points.map(([x, y]) => `${x} ${top + y}`).join("L")}" class="edge" marker-end="url(#arrow)"/>`,
      );
    const [x, y, anchor] = place.split(" ");
    if (text)
      text
        .split("/")
        .forEach((part, index) =>
          parts.push(
            label(Number(x), top + Number(y) + index * 19, part.trim(), { anchor: anchor || "start" }),
          ),
        );
  }
  const below = legend(entries, bottom + 18);
  return { parts: [...parts, ...below.parts], bottom: entries.length === 0 ? bottom : below.bottom + 8 };
}

/**
 * A time line. `lane name | from to colour, …` draws bars on a scale of 0 to 100. `at instant number` draws a dashed line
 * with a number above it. `section text` begins a new time line below.
 */
function timeline({ lines, legend: entries }, top) {
  const parts = [];
  const left = MARGIN + 118;
  const xOf = (instant) => left + (Number(instant) / 100) * (WIDTH - MARGIN - 6 - left);
  let y = top;
  let marks = [];
  let first = 0;
  const close = () => {
    const guides = marks.map(([instant, number]) => {
      const x = xOf(instant);
      return `<line x1="${round(x)}" x2="${round(x)}" y1="${first}" y2="${y - 6}" class="guide"/>${numbered(x, first - 12, number)}`;
    });
    parts.push(...guides);
    marks = [];
  };
  for (const line of lines) {
    const [, word, rest] = /^(\w+) (.*)$/.exec(line);
    if (word === "section") {
      if (first > 0) {
        close();
        y += 14;
      }
      parts.push(label(MARGIN, y + 6, rest, { kind: "head" }));
      first = y + 46;
      y += 52;
    } else if (word === "at") marks.push(rest.split(" "));
    else {
      const [name, bars] = rest.split(" | ");
      parts.push(label(MARGIN, y + 17, name, { kind: "code" }));
      for (const bar of bars.split(", ")) {
        const [from, to, kind] = bar.split(" ");
        parts.push(rectangle(xOf(from), y + 1, xOf(to) - xOf(from), 22, kind, 4));
      }
      y += 34;
    }
  }
  close();
  const below = legend(entries, y + 24);
  return { parts: [...parts, ...below.parts], bottom: below.bottom + 8 };
}

const kinds = { tree, states, timeline };

/** Draws the picture that `text` describes, as the text of an SVG file. */
export function draw(text) {
  const fields = { title: "", description: "", kind: "", columns: [], legend: [], lines: [] };
  for (const line of text.split("\n")) {
    const field = /^(kind|title|description|columns|legend): (.*)$/.exec(line);
    if (line.trim() === "" || line.startsWith("#")) continue;
    if (!field) fields.lines.push(line);
    else if (field[1] === "columns") fields.columns = field[2].split("|").map((head) => head.trim());
    else if (field[1] === "legend") {
      const [, mark, words] = /^(\w+) (.*)$/.exec(field[2]);
      fields.legend.push({ mark, text: words });
    } else fields[field[1]] = field[2];
  }
  const paint = kinds[fields.kind];
  if (paint === undefined)
    throw new Error(`kind: must be one of ${Object.keys(kinds).join(", ")}, not ${fields.kind}`);
  const { parts, bottom } = paint(fields, MARGIN + 44);
  const height = Math.round(bottom + MARGIN - 4);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title description">`,
    `<title id="title">${escape(fields.title)}</title>`,
    `<desc id="description">${escape(fields.description)}</desc>`,
    `<style>${STYLE}\n</style>`,
    `<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L10 5L0 10z" class="arrow"/></marker></defs>`,
    `<rect x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8" class="page"/>`,
    label(MARGIN, MARGIN + 14, fields.title, { kind: "title" }),
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

const here = dirname(fileURLToPath(import.meta.url));
export const sources = join(here, "pictures");
export const images = join(here, "../docs/guide/images");

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  for (const file of readdirSync(sources)) {
    writeFileSync(
      join(images, file.replace(/\.txt$/, ".svg")),
      draw(readFileSync(join(sources, file), "utf8")),
    );
  }
}
