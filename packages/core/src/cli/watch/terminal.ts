import { emitKeypressEvents } from "node:readline";
import type { Scope } from "../../index.js";
import type { Key } from "./model.js";
import type { Size } from "./render.js";

const ENTER_SCREEN = "\x1b[?1049h";
const LEAVE_SCREEN = "\x1b[?1049l";
const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";
/** A terminal that finds a character wider than we do must not wrap the line. */
const NO_WRAP = "\x1b[?7l";
const WRAP = "\x1b[?7h";
const CLEAR = "\x1b[2J";
const CLEAR_LINE_END = "\x1b[K";

/** What is needed of `process.stdin`. */
export type Keyboard = Pick<NodeJS.ReadStream, "on" | "off" | "pause" | "resume"> & {
  setRawMode?(raw: boolean): unknown;
  readonly isTTY?: boolean;
};

/** What is needed of `process.stdout`. */
export type Display = Pick<NodeJS.WriteStream, "on" | "off"> & {
  write(text: string): boolean;
  readonly columns?: number;
  readonly rows?: number;
};

/** Who is told of keys and of another size. */
export interface TerminalListener {
  onKey(key: Key): void;
  onResize(): void;
}

/**
 * Takes the terminal over until `scope` ends: the other screen, no cursor, single keys. It is given back when the scope ends,
 * and when the process exits in any other way that can be noticed.
 */
export class Terminal {
  readonly #keyboard: Keyboard;
  readonly #display: Display;
  readonly #listener: TerminalListener;
  #shown: readonly string[] = [];
  #waiting: readonly string[] | undefined;
  #isTaken = false;
  #isReleased = false;

  constructor(scope: Scope, keyboard: Keyboard, display: Display, listener: TerminalListener) {
    this.#keyboard = keyboard;
    this.#display = display;
    this.#listener = listener;
    scope.defer(() => this.release());
    this.#take();
    emitKeypressEvents(keyboard as NodeJS.ReadStream);
    keyboard.on("keypress", this.#onKeypress);
    display.on("resize", this.#onResize);
    display.on("drain", this.#onDrain);
    process.on("SIGCONT", this.#onContinue);
    process.on("exit", this.#giveBack);
  }

  get size(): Size {
    // Some terminals say that they have no size.
    return { columns: this.#display.columns || 80, rows: this.#display.rows || 24 };
  }

  /** Shows these lines. Only those that have changed are written. */
  draw(lines: readonly string[]): void {
    if (this.#isReleased) return;
    // Where nobody would continue it, the system ignores Ctrl-Z.
    if (!this.#isTaken) this.#take();
    if (this.#waiting !== undefined) {
      this.#waiting = lines; // the terminal is slow: it gets the newest picture when it is ready
      return;
    }
    let text = "";
    for (const [index, line] of lines.entries())
      if (line !== this.#shown[index]) text += `\x1b[${index + 1};1H${line}${CLEAR_LINE_END}`;
    this.#shown = lines;
    if (text !== "" && !this.#display.write(text)) this.#waiting = lines;
  }

  /** Gives the terminal back. */
  release(): void {
    this.#isReleased = true;
    this.#giveBack();
    this.#keyboard.off("keypress", this.#onKeypress);
    this.#display.off("resize", this.#onResize);
    this.#display.off("drain", this.#onDrain);
    process.off("SIGCONT", this.#onContinue);
    process.off("exit", this.#giveBack);
    this.#keyboard.pause();
  }

  #take(): void {
    this.#isTaken = true;
    this.#shown = [];
    this.#keyboard.setRawMode?.(true);
    this.#keyboard.resume();
    this.#display.write(ENTER_SCREEN + HIDE_CURSOR + NO_WRAP + CLEAR);
  }

  readonly #giveBack = (): void => {
    if (!this.#isTaken) return;
    this.#isTaken = false;
    this.#keyboard.setRawMode?.(false);
    this.#display.write(WRAP + SHOW_CURSOR + LEAVE_SCREEN);
  };

  readonly #onKeypress = (text: string | undefined, { name, ctrl }: Key): void => {
    // Single keys: the terminal itself no longer stops the process at Ctrl-Z.
    if (ctrl === true && name === "z" && process.platform !== "win32") return this.#stop();
    this.#listener.onKey({ text, name, ctrl });
  };

  readonly #onResize = (): void => {
    this.#shown = [];
    this.#display.write(CLEAR);
    this.#listener.onResize();
  };

  readonly #onDrain = (): void => {
    const lines = this.#waiting;
    this.#waiting = undefined;
    if (lines !== undefined) this.draw(lines);
  };

  #stop(): void {
    this.#giveBack();
    process.kill(0, "SIGTSTP"); // with the others of the same command line
  }

  readonly #onContinue = (): void => {
    this.#giveBack();
    this.#take();
    this.#listener.onResize();
  };
}
