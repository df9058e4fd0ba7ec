import { pad, table } from "../terminal/table.js";
import type { Paint } from "../terminal/paint.js";
import type { Size } from "../terminal/stage.js";
import type { Ended, Entry, Ledger } from "./ledger.js";
import { shopNames } from "./shops.js";

/** The name of each ending on the screen, in the order of the columns. */
const endings = ["answered", "deadline", "disconnected", "failure"] as const;

/** Draws a ledger. It only reads. */
export class PricesView {
  readonly #ledger: Ledger;
  readonly #paint: Paint;
  readonly #visits: number;
  readonly #started: number = performance.now();

  constructor(ledger: Ledger, paint: Paint, visits: number) {
    this.#ledger = ledger;
    this.#paint = paint;
    this.#visits = visits;
  }

  frame({ rows }: Size): string[] {
    const { bold, dim } = this.#paint;
    const top = [this.#present(), `  ${this.#past()}`, "", ...this.shops(), ""];
    // Two headings and a blank line between them; the rest is for both lists.
    const left = Math.max(rows - top.length - 3, 2);
    const upper = Math.min(Math.ceil(left / 2), 12);
    const running = [...this.#ledger.running].slice(0, upper).map((entry) => this.#running(entry));
    while (running.length < upper) running.push("");
    const recent = this.#ledger.recent
      .slice(0, Math.min(left - upper, 12))
      .map((ended) => this.#ended(ended));
    return [
      ...top,
      bold("Running") + dim("  (✓ has answered)"),
      ...running,
      "",
      bold("Just ended"),
      ...recent,
    ];
  }

  line(): string {
    const [latest] = this.#ledger.recent;
    const last = latest === undefined ? "" : `; last: request ${latest.entry.id}, ${plain(latest)}`;
    return `${this.#present()}; ${this.#past()}${last}`;
  }

  /** The table of the shops. */
  shops(): string[] {
    const { bold, dim } = this.#paint;
    const causes = ["deadline", "disconnected", "failure"] as const;
    const states = ["answered", "failed", ...causes] as const;
    const header = ["shop", "sockets", "tasks", ...states];
    const lines = shopNames.map((name) => {
      const { ended, sockets, tasks } = this.#ledger.shop(name);
      const numbers = [sockets(), tasks, ...states.map((state) => ended.get(state) ?? 0)];
      return [name, ...numbers.map((number) => (number === 0 ? dim("0") : String(number)))];
    });
    const [head = "", ...body] = table([header, ...lines]);
    const above = placed([
      [head.indexOf("sockets"), "alive now"],
      [head.indexOf("answered"), "calls that ended"],
      [head.indexOf("deadline"), "cancelled by"],
    ]);
    return [dim(above), bold(head), ...body].map((line) => `  ${line}`);
  }

  /** The ended requests, by ending. */
  #past(): string {
    const counts = this.#ledger.endings;
    const [answered, ...cancelled] = endings.map((ending) => {
      return this.#tint(ending, `${counts.get(ending) ?? 0} ${ending}`);
    });
    const ended = [...counts.values()].reduce((sum, count) => sum + count, 0);
    const all = this.#paint.bold(`${ended}/${this.#visits} ended`);
    return `${all}: ${answered}; cancelled: ${cancelled.join(", ")}`;
  }

  /** The live requests. */
  #present(): string {
    const seconds = ((performance.now() - this.#started) / 1_000).toFixed(1).padStart(5);
    const sockets = this.#ledger.total((books) => books.sockets());
    const tasks = this.#ledger.total((books) => books.tasks);
    const live = `${this.#ledger.running.size} requests, ${tasks} upstream calls, ${sockets} upstream sockets`;
    return `${seconds} s  ${this.#paint.bold(live)} alive`;
  }

  #running(entry: Entry): string {
    const { dim, green } = this.#paint;
    const calls = [...entry.calls].map(([name, state]) => {
      return state === "running" ? `  ${name}  ` : green(`✓ ${name}  `);
    });
    const age = (performance.now() - entry.since) / 1_000;
    const clock = dim(`${age.toFixed(1)} s of ${(entry.within / 1_000).toFixed(1)} s`);
    return `  ${dim(number(entry))}  ${pad(calls.join(""), 48)}${clock}`;
  }

  #ended(ended: Ended): string {
    const { dim } = this.#paint;
    const word = ended.ending === "answered" ? "answered" : `cancelled: ${ended.ending}`;
    const took = dim(`after ${(ended.took / 1_000).toFixed(1)} s`);
    const cut = [...ended.entry.calls].filter(([, state]) => state !== "answered" && state !== "failed");
    const stopped = cut.length === 0 ? "" : `  stopped ${cut.map(([name]) => name).join(", ")}`;
    const what = `${this.#tint(ended.ending, pad(word, 23))} ${took}  ${ended.why}${dim(stopped)}`;
    return `  ${dim(number(ended.entry))}  ${what}`;
  }

  #tint(ending: Ended["ending"], text: string): string {
    const { cyan, green, red, yellow } = this.#paint;
    if (ending === "answered") return green(text);
    if (ending === "deadline") return yellow(text);
    return ending === "failure" ? red(text) : cyan(text);
  }
}

function number({ id }: Entry): string {
  return `#${String(id).padStart(3, "0")}`;
}

function plain({ ending, why }: Ended): string {
  return ending === "answered" ? "answered" : `cancelled (${ending}: ${why})`;
}

/** Texts at their columns. */
function placed(texts: readonly (readonly [column: number, text: string])[]): string {
  return texts.reduce((line, [column, text]) => line.padEnd(column) + text, "");
}
