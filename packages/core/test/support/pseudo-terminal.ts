import { execFileSync, spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import xterm from "@xterm/headless";
import { onTestFinished } from "vitest";

/** Why there is no pseudo-terminal here; `undefined` if there is. */
export const noTerminal: string | undefined = whyNoTerminal();

function whyNoTerminal(): string | undefined {
  try {
    // Of util-linux: those of other systems have other options.
    execFileSync("script", ["-qfec", "true", "/dev/null"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "needs the command `script` of util-linux";
  }
}

/** How long the screen may take to show something, in ms: less than a test has, so that the test says what it showed. */
const PATIENCE = 45_000;

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** A program on a pseudo-terminal, and what a terminal shows of it. */
export class PseudoTerminal {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #terminal: xterm.Terminal;
  readonly #folder = mkdtempSync(join(tmpdir(), "bough-terminal-"));
  readonly #ended: Promise<unknown[]>;
  #written: Promise<void> = Promise.resolve();
  #output = "";
  #changed: () => void = () => {};

  /**
   * Starts a program, until the end of the test.
   *
   * @param environment - Added to that of the test.
   */
  constructor(
    command: readonly string[],
    size: { readonly columns: number; readonly rows: number },
    environment: Readonly<Record<string, string>> = {},
  ) {
    const { columns, rows } = size;
    this.#terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
    const words = command.map(quote).join(" ");
    const line = `tty > ${quote(join(this.#folder, "tty"))}; stty cols ${columns} rows ${rows}; echo $$ > ${quote(join(this.#folder, "pid"))}; exec ${words}`;
    this.#process = spawn("script", ["-qfec", line, "/dev/null"], {
      env: {
        ...process.env,
        TERM: "xterm-256color",
        NO_COLOR: undefined,
        FORCE_COLOR: undefined,
        ...environment,
      },
    });
    this.#process.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
      this.#written = new Promise((resolve) => this.#terminal.write(text, resolve));
      void this.#written.then(() => this.#changed());
    });
    this.#ended = once(this.#process, "close");
    onTestFinished(() => {
      this.#process.kill("SIGKILL");
      this.#terminal.dispose();
      rmSync(this.#folder, { recursive: true });
    });
  }

  /** Of the program. */
  get pid(): number {
    return Number(readFileSync(join(this.#folder, "pid"), "utf8"));
  }

  /** Everything that was written so far, as it came. */
  get output(): string {
    return this.#output;
  }

  /** Whether the other screen is shown, which programs use that fill it. */
  get isOtherScreen(): boolean {
    return this.#terminal.buffer.active.type === "alternate";
  }

  /** Whether the last thing that was said of the cursor is that it is shown. */
  get isCursorShown(): boolean {
    return this.#output.lastIndexOf("\x1b[?25h") >= this.#output.lastIndexOf("\x1b[?25l");
  }

  /** Whether keys are echoed, and Ctrl-C is a signal, as in a shell. */
  get isCooked(): boolean {
    const settings = execFileSync("stty", ["-F", this.#tty, "-a"], { encoding: "utf8" });
    return /(?<!-)\bicanon\b/.test(settings) && /(?<!-)\becho\b/.test(settings);
  }

  get #tty(): string {
    return readFileSync(join(this.#folder, "tty"), "utf8").trim();
  }

  /** The content of the screen, without spaces at the ends of lines. */
  get screen(): string {
    const { active } = this.#terminal.buffer;
    const lines = Array.from({ length: this.#terminal.rows }, (_, row) =>
      active
        .getLine(active.baseY + row)
        ?.translateToString(true)
        .trimEnd(),
    );
    return lines.join("\n");
  }

  send(keys: string): void {
    this.#process.stdin.write(keys);
  }

  /** Changes the size, as a window does. */
  resize(columns: number, rows: number): void {
    this.#terminal.resize(columns, rows);
    execFileSync("stty", ["-F", this.#tty, "cols", String(columns), "rows", String(rows)]);
  }

  /** Waits until the screen shows something. */
  async shows(wanted: RegExp | string | ((screen: string) => boolean)): Promise<string> {
    const isShown =
      typeof wanted === "function"
        ? wanted
        : (screen: string) => (typeof wanted === "string" ? screen.includes(wanted) : wanted.test(screen));
    let end: string | undefined;
    const timer = setTimeout(() => {
      end = `${PATIENCE} ms have passed`;
      this.#changed();
    }, PATIENCE);
    try {
      for (;;) {
        const changed = new Promise<void>((resolve) => (this.#changed = resolve));
        const { screen } = this;
        if (isShown(screen)) return screen;
        if (end !== undefined) throw new Error(`${end}, and it never showed ${String(wanted)}:\n${screen}`);
        await Promise.race([changed, this.ending().then(() => (end = "the program has ended"))]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for the end of the program, and of what it has written. Returns its exit code. */
  async ending(): Promise<number> {
    const [code] = (await this.#ended) as [number];
    await this.#written;
    return code;
  }
}
