import { emitKeypressEvents } from "node:readline";
import type { Scope } from "../../index.js";
import type { Key } from "./model.js";
import type { Size } from "./render.js";

const ENTER_SCREEN = "\x1b[?1049h";
const LEAVE_SCREEN = "\x1b[?1049l";
const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";
/** A terminal may draw a character wider than `widthOf` assumes: the line must not wrap. */
const NO_WRAP = "\x1b[?7l";
const WRAP = "\x1b[?7h";
const CLEAR = "\x1b[2J";
const CLEAR_LINE_END = "\x1b[K";

/** The part of `process.stdin` that is used. */
export type Keyboard = Pick<NodeJS.ReadStream, "on" | "off" | "pause" | "resume"> & {
  setRawMode?(raw: boolean): unknown;
  readonly isTTY?: boolean;
};

/** The part of `process.stdout` that is used. */
export type Display = Pick<NodeJS.WriteStream, "on" | "off"> & {
  write(text: string): boolean;
  readonly columns?: number;
  readonly rows?: number;
};

/** Receives the keys and the changes of size. */
export interface TerminalListener {
  onKey(key: Key): void;
  onResize(): void;
}

/**
 * Takes the terminal over until `scope` ends: alternate screen, no cursor, raw mode. Restores it when the scope ends,
 * and on the process's `exit` event.
 */
export class Terminal {
  readonly #keyboard: Keyboard;
  readonly #display: Display;
  readonly #listener: TerminalListener;
  #shown: readonly string[] = [];
  #pendingLines: readonly string[] | undefined;
  #isTakenOver = false;
  #isReleased = false;

  constructor(scope: Scope, keyboard: Keyboard, display: Display, listener: TerminalListener) {
    this.#keyboard = keyboard;
    this.#display = display;
    this.#listener = listener;
    scope.defer(() => this.release());
    this.#takeOver();
    emitKeypressEvents(keyboard as NodeJS.ReadStream);
    keyboard.on("keypress", this.#onKeypress);
    display.on("resize", this.#onResize);
    display.on("drain", this.#onDrain);
    process.on("SIGCONT", this.#onContinue);
    process.on("exit", this.#restore);
  }

  get size(): Size {
    // Some terminals report a size of 0.
    return { columns: this.#display.columns || 80, rows: this.#display.rows || 24 };
  }

  /** Shows these lines. Writes only the lines that have changed. */
  draw(lines: readonly string[]): void {
    if (this.#isReleased) return;
    // The system ignores SIGTSTP without a job-control shell: then no SIGCONT follows `#suspend`.
    if (!this.#isTakenOver) this.#takeOver();
    if (this.#pendingLines !== undefined) {
      this.#pendingLines = lines; // the terminal is slow: it gets the newest lines on "drain"
      return;
    }
    let text = "";
    for (const [index, line] of lines.entries())
      if (line !== this.#shown[index]) text += `\x1b[${index + 1};1H${line}${CLEAR_LINE_END}`;
    this.#shown = lines;
    if (text !== "" && !this.#display.write(text)) this.#pendingLines = lines;
  }

  /** Restores the terminal. */
  release(): void {
    this.#isReleased = true;
    this.#restore();
    this.#keyboard.off("keypress", this.#onKeypress);
    this.#display.off("resize", this.#onResize);
    this.#display.off("drain", this.#onDrain);
    process.off("SIGCONT", this.#onContinue);
    process.off("exit", this.#restore);
    this.#keyboard.pause();
  }

  #takeOver(): void {
    this.#isTakenOver = true;
    this.#shown = [];
    this.#keyboard.setRawMode?.(true);
    this.#keyboard.resume();
    this.#display.write(ENTER_SCREEN + HIDE_CURSOR + NO_WRAP + CLEAR);
  }

  readonly #restore = (): void => {
    if (!this.#isTakenOver) return;
    this.#isTakenOver = false;
    this.#keyboard.setRawMode?.(false);
    this.#display.write(WRAP + SHOW_CURSOR + LEAVE_SCREEN);
  };

  readonly #onKeypress = (text: string | undefined, { name, ctrl }: Key): void => {
    // In raw mode the terminal does not stop the process at Ctrl-Z.
    if (ctrl === true && name === "z" && process.platform !== "win32") return this.#suspend();
    this.#listener.onKey({ text, name, ctrl });
  };

  readonly #onResize = (): void => {
    this.#shown = [];
    this.#display.write(CLEAR);
    this.#listener.onResize();
  };

  readonly #onDrain = (): void => {
    const lines = this.#pendingLines;
    this.#pendingLines = undefined;
    if (lines !== undefined) this.draw(lines);
  };

  #suspend(): void {
    this.#restore();
    process.kill(0, "SIGTSTP"); // the whole process group, as the terminal would
  }

  readonly #onContinue = (): void => {
    this.#restore();
    this.#takeOver();
    this.#listener.onResize();
  };
}
