import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";

/** How a child process ended, and what it printed. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A script in a process of its own that a test listens to and sends signals. */
export class Child {
  readonly #process: ChildProcessByStdio<null, Readable, Readable>;
  readonly #ended: Promise<unknown[]>;
  #stdout = "";
  #stderr = "";

  constructor(node: string, args: readonly string[]) {
    this.#process = spawn(node, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#process.stdout.on("data", (chunk) => (this.#stdout += String(chunk)));
    this.#process.stderr.on("data", (chunk) => (this.#stderr += String(chunk)));
    this.#ended = once(this.#process, "close");
  }

  get stdout(): Readable {
    return this.#process.stdout;
  }

  /** Its output on stdout so far. */
  get output(): string {
    return this.#stdout;
  }

  /** Its output on stderr so far. */
  get errors(): string {
    return this.#stderr;
  }

  get pid(): number {
    const { pid } = this.#process;
    if (pid === undefined) throw new Error("the process was not started");
    return pid;
  }

  /** Waits until it has printed `text` on stdout. */
  printed(text: string): Promise<void> {
    return this.#until(text, this.stdout, () => this.#stdout);
  }

  /** Waits until it has printed `text` on stderr. */
  reported(text: string): Promise<void> {
    return this.#until(text, this.#process.stderr, () => this.#stderr);
  }

  async #until(text: string, stream: Readable, output: () => string): Promise<void> {
    while (!output().includes(text)) {
      const over = this.#ended.then(() => "over");
      if ((await Promise.race([once(stream, "data"), over])) !== "over") continue;
      if (!output().includes(text)) throw new Error(`never printed ${text}:\n${this.#stdout}${this.#stderr}`);
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  async ending(): Promise<Ending> {
    const [code, signal] = (await this.#ended) as [number | null, NodeJS.Signals | null];
    return { code, signal, stdout: this.#stdout, stderr: this.#stderr };
  }
}
