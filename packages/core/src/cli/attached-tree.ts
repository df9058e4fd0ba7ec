import { sleep, type Scope } from "../index.js";
import type { Look, NodeInfo, TreeSource } from "../inspect/index.js";
import type { FoldQuery, FoldedRow, TreeSummary } from "../inspect/tree-folder.js";
import { agentExpression } from "./agent-source.js";
import { answerWithin } from "./answer-within.js";
import type { DebuggingSession } from "./debugging-session.js";
import { CannotInspect } from "./processes.js";
import { checkCopies, RemoteAgent, type Copies } from "./remote-agent.js";

/** How long the process may be busy before it is paused, in ms. */
const BUSY = 1_000;
/** How long a process that is busy in JavaScript may take to pause, in ms. */
const PAUSE = 2_000;
/** How long the process is held up at a time, in ms. */
const SLICE = 2;

interface Frame {
  readonly functionName: string;
  readonly url: string;
  readonly location: { readonly scriptId: string; readonly lineNumber: number };
}

interface Beginning extends Copies {
  readonly at: number;
}

type Rest = Omit<TreeSummary, "at" | "blockedIn" | "rows">;

/** The tree of a process that a debugger is attached to. */
export class AttachedTree implements TreeSource {
  readonly #scope: Scope;
  readonly #session: DebuggingSession;
  readonly #pid: number;
  readonly #urls = new Map<string, string>();
  readonly #agent: RemoteAgent;
  #looking: Promise<Look> | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #paused: ((frames: readonly Frame[]) => void) | undefined;

  /**
   * @param scope - As long as it is open, the tree can be looked at.
   * @param expression - Makes the expression whose value is an `Agent`.
   */
  constructor(
    scope: Scope,
    session: DebuggingSession,
    pid: number,
    expression: () => string = () => agentExpression("agent.js"),
  ) {
    this.#agent = new RemoteAgent(session, expression);
    this.#scope = scope;
    this.#session = session;
    this.#pid = pid;
    session.on<{ scriptId: string; url: string }>("Debugger.scriptParsed", ({ scriptId, url }) => {
      this.#urls.set(scriptId, url);
    });
    session.on<{ callFrames: readonly Frame[] }>("Debugger.paused", ({ callFrames }) =>
      this.#paused?.(callFrames),
    );
  }

  /**
   * @throws {CannotInspect} If the process has no bough, one of another format, or is busy in native code.
   */
  look(): Promise<Look> {
    // Who asks meanwhile gets the same look.
    return (this.#looking ??= this.#oneAtATime(() => this.#walk()).finally(
      () => (this.#looking = undefined),
    ));
  }

  /**
   * Looks at the tree without transferring more than a thousand rows of it.
   *
   * @throws {CannotInspect} As {@link look}.
   */
  summarise(query: FoldQuery): Promise<TreeSummary> {
    return this.#oneAtATime(() => this.#fold(query));
  }

  /** The agent has one walk at a time. */
  #oneAtATime<T extends Look | TreeSummary>(read: () => Promise<T>): Promise<T> {
    const reading = this.#last.then(() => this.#read(read));
    this.#last = reading.catch(() => {});
    return reading;
  }

  async #read<T extends Look | TreeSummary>(read: () => Promise<T>): Promise<T> {
    const session = this.#session;
    // Code is evaluated even while a loop runs: an interrupt comes between two rounds. So ask for a turn of the event loop.
    const ready = session.call("Runtime.evaluate", {
      expression: "new Promise((resolve) => setImmediate(resolve))",
      awaitPromise: true,
    });
    if ((await answerWithin(this.#scope, BUSY, ready)) !== undefined) return read();
    ready.catch(() => {});
    // The process does not come to its event loop: it is stopped where it is, looked at, and goes on.
    const frames = await this.#pause();
    try {
      return { ...(await read()), blockedIn: this.#place(frames[0]) };
    } finally {
      await session.call("Debugger.resume").catch(() => {});
      await session.call("Debugger.disable").catch(() => {});
    }
  }

  async #pause(): Promise<readonly Frame[]> {
    const session = this.#session;
    const paused = new Promise<readonly Frame[]>((resolve) => (this.#paused = resolve));
    // In a busy process these are answered between two rounds of the loop.
    const asked = Promise.all([session.call("Debugger.enable"), session.call("Debugger.pause")]);
    const frames = await answerWithin(
      this.#scope,
      PAUSE,
      asked.then(() => paused),
    );
    this.#paused = undefined;
    if (frames === undefined)
      throw new CannotInspect(
        `Process ${this.#pid} is busy in native code (a long regular expression, synchronous I/O) or stopped, and answers to no debugger.`,
      );
    return frames;
  }

  #place(frame: Frame | undefined): string {
    if (frame === undefined) return "an unknown function";
    const { functionName, url, location } = frame;
    const file = url === "" ? (this.#urls.get(location.scriptId) ?? "") : url;
    return `${functionName === "" ? "an anonymous function" : functionName} (${file.replace(/^file:\/\//, "")}:${location.lineNumber + 1})`;
  }

  async #walk(): Promise<Look> {
    const { at } = await this.#begin();
    const nodes: NodeInfo[] = [];
    for (;;) {
      const found = JSON.parse(await this.#agent.call("next", SLICE)) as NodeInfo[] | null;
      if (found === null) return { at, nodes };
      for (const node of found) nodes.push(node);
      await sleep(this.#scope, 0); // so that Ctrl-C is heard, and the process has its turn
    }
  }

  async #fold(query: FoldQuery): Promise<TreeSummary> {
    const { at } = await this.#begin();
    let rest: Rest | null;
    do {
      rest = JSON.parse(await this.#agent.call("fold", SLICE, JSON.stringify(query))) as Rest | null;
      await sleep(this.#scope, 0);
    } while (rest === null);
    const rows: FoldedRow[] = [];
    for (;;) {
      const found = JSON.parse(await this.#agent.call("fold")) as FoldedRow[];
      if (found.length === 0) return { at, ...rest, rows };
      rows.push(...found);
    }
  }

  async #begin(): Promise<Beginning> {
    const begun = JSON.parse(await this.#agent.call("begin")) as Beginning;
    checkCopies(this.#pid, begun);
    return begun;
  }
}
