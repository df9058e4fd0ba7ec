import { bars, columnOf } from "../terminal/graph.js";
import type { Paint } from "../terminal/paint.js";
import type { Size } from "../terminal/stage.js";
import { heapUsed, phases, type Census } from "./census.js";

/** Room for the numbers to the left of a graph. */
const MARGIN = 10;
const MAX_ROWS = 7;

/** Draws a census. It only reads. */
export class WorkersView {
  readonly #census: Census;
  readonly #paint: Paint;

  constructor(census: Census, paint: Paint) {
    this.#census = census;
    this.#paint = paint;
  }

  frame({ columns, rows }: Size): string[] {
    return [this.line(), "", ...this.graphs({ columns, rows: rows - 2 })];
  }

  line(): string {
    const { age, alive, beats, phase, samples } = this.#census;
    const seconds = (age / 1_000).toFixed(1).padStart(5);
    const live = this.#paint.bold(`${count(alive)} workers alive`);
    const heap = samples.at(-1)?.heap ?? heapUsed();
    return `${seconds} s  ${phase.padEnd(9)}  ${live}, ${count(beats)} beats so far, heap ${megabytes(heap)}`;
  }

  /** How both numbers have gone up and down. */
  graphs({ columns, rows }: Size): string[] {
    const { cyan, magenta } = this.#paint;
    const { samples } = this.#census;
    // Each graph has a heading, and both share the line with the phases.
    const height = Math.min(Math.max(Math.floor((rows - 3) / 2), 1), MAX_ROWS);
    const size = { columns: Math.max(columns - MARGIN - 1, 10), rows: height };
    const alive = samples.map((sample) => sample.alive);
    const heap = samples.map((sample) => sample.heap);
    return [
      ...this.#graph("workers alive", alive, count, cyan, size),
      ...this.#graph("heap", heap, megabytes, magenta, size),
      this.#axis(size.columns),
    ];
  }

  #graph(
    title: string,
    values: readonly number[],
    format: (value: number) => string,
    tint: (text: string) => string,
    { columns, rows }: Size,
  ): string[] {
    const { bold, dim } = this.#paint;
    const top = values.reduce((most, value) => Math.max(most, value), 0);
    const lines = bars(values, top, columns, rows).map((line, row) => {
      const label = row === 0 ? format(top) : row === rows - 1 ? "0" : "";
      return `${dim(label.padStart(MARGIN - 1))} ${tint(line)}`;
    });
    return [`${" ".repeat(MARGIN)}${bold(title)}`, ...lines];
  }

  /** Where each phase begins. */
  #axis(columns: number): string {
    const { samples } = this.#census;
    let line = " ".repeat(MARGIN);
    for (const phase of phases) {
      const first = samples.findIndex((sample) => sample.phase === phase);
      if (first < 0) continue;
      line = `${line.padEnd(MARGIN + columnOf(first, samples.length, columns))}▴${phase} `;
    }
    return this.#paint.dim(line);
  }
}

function count(value: number): string {
  return value.toLocaleString("en");
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}
