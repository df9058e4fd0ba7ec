import { sleep, type Scope } from "../index.js";
import type { Look, NodeInfo, TreeSource } from "../inspect/index.js";
import type { FoldQuery, FoldedRow, TreeSummary } from "../inspect/fold-tree.js";
import { agentExpression } from "./agent-source.js";
import { answerWithin } from "./answer-within.js";
import type { DebuggingSession } from "./debugging-session.js";
import { CannotInspect } from "./processes.js";
import { checkCopies, RemoteAgent, type CopyCounts } from "./remote-agent.js";

/** How long to wait for a turn of the event loop before the process is paused, in ms. */
const READY_TIMEOUT = 1_000;
/** How long a process that runs JavaScript may take to pause, in ms. */
const PAUSE_TIMEOUT = 2_000;
/** How long one call may block the process, in ms. */
const SLICE = 2;

interface Frame {
  readonly functionName: string;
  readonly url: string;
  readonly location: { readonly scriptId: string; readonly lineNumber: number };
}

interface WalkStart extends CopyCounts {
  readonly at: number;
}

type SummaryWithoutRows = Omit<TreeSummary, "at" | "blockedIn" | "rows">;

/** The tree of a process that a debugger is attached to. */
export class AttachedTree implements TreeSource {
  readonly #scope: Scope;
  readonly #session: DebuggingSession;
  readonly #pid: number;
  readonly #urls = new Map<string, string>();
  readonly #agent: RemoteAgent;
  #pendingLook: Promise<Look> | undefined;
  #lastRead: Promise<unknown> = Promise.resolve();
  #onPaused: ((frames: readonly Frame[]) => void) | undefined;

  /**
   * @param scope - The tree can be inspected while it is open.
   * @param expression - Returns an expression whose value is an `Agent`.
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
      this.#onPaused?.(callFrames),
    );
  }

  /**
   * @throws {CannotInspect} If the process has not loaded bough, has loaded a version with another format, or is busy
   * in native code.
   */
  look(): Promise<Look> {
    // A call during a look gets the same look.
    return (this.#pendingLook ??= this.#oneAtATime(() => this.#walk()).finally(
      () => (this.#pendingLook = undefined),
    ));
  }

  /**
   * Reads at most a thousand rows of the tree.
   *
   * @throws {CannotInspect} As {@link look}.
   */
  summarise(query: FoldQuery): Promise<TreeSummary> {
    return this.#oneAtATime(() => this.#fold(query));
  }

  /** The agent can do one walk at a time. */
  #oneAtATime<T extends Look | TreeSummary>(read: () => Promise<T>): Promise<T> {
    const reading = this.#lastRead.then(() => this.#read(read));
    this.#lastRead = reading.catch(() => {});
    return reading;
  }

  async #read<T extends Look | TreeSummary>(read: () => Promise<T>): Promise<T> {
    const session = this.#session;
    // The debugger evaluates code even during a busy loop, between two iterations. So this waits for a turn of the
    // event loop.
    const ready = session.call("Runtime.evaluate", {
      expression: "new Promise((resolve) => setImmediate(resolve))",
      awaitPromise: true,
    });
    if ((await answerWithin(this.#scope, READY_TIMEOUT, ready)) !== undefined) return read();
    ready.catch(() => {});
    // The event loop is blocked: the process is paused in its current function, read, and resumed.
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
    const paused = new Promise<readonly Frame[]>((resolve) => (this.#onPaused = resolve));
    // A busy process answers these calls between two iterations of its loop.
    const asked = Promise.all([session.call("Debugger.enable"), session.call("Debugger.pause")]);
    const frames = await answerWithin(
      this.#scope,
      PAUSE_TIMEOUT,
      asked.then(() => paused),
    );
    this.#onPaused = undefined;
    if (frames === undefined)
      throw new CannotInspect(
        `Process ${this.#pid} is busy in native code (a long regular expression, synchronous I/O) or stopped, and does not answer the debugger.`,
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
      await sleep(this.#scope, 0); // so that Ctrl-C is handled here, and the process can run
    }
  }

  async #fold(query: FoldQuery): Promise<TreeSummary> {
    const { at } = await this.#begin();
    let rest: SummaryWithoutRows | null;
    do {
      rest = JSON.parse(
        await this.#agent.call("fold", SLICE, JSON.stringify(query)),
      ) as SummaryWithoutRows | null;
      await sleep(this.#scope, 0);
    } while (rest === null);
    const rows: FoldedRow[] = [];
    for (;;) {
      const found = JSON.parse(await this.#agent.call("fold")) as FoldedRow[];
      if (found.length === 0) return { at, ...rest, rows };
      rows.push(...found);
    }
  }

  async #begin(): Promise<WalkStart> {
    const begun = JSON.parse(await this.#agent.call("begin")) as WalkStart;
    checkCopies(this.#pid, begun);
    return begun;
  }
}
