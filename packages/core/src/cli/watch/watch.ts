import { createWatcher, type TreeSource, type Watcher } from "../../inspect/index.js";
import type { FoldQuery, TreeSummary } from "../../inspect/fold-tree.js";
import { detailOf, type NodeDetail } from "../../inspector/detail.js";
import { LiveTree } from "../../inspector/live-tree.js";
import { race, sleep, type Scope } from "../../index.js";
import { realNow } from "../../kernel/platform.js";
import { answerWithin } from "../answer-within.js";
import { rethrowUnlessEnded } from "../process-ended.js";
import { CannotInspect } from "../processes.js";
import { initialState, toQuery, update, type Action, type State } from "./model.js";
import { createPaint } from "./paint.js";
import { pageSizeOf, render } from "./render.js";
import { Terminal, type Display, type Keyboard } from "./terminal.js";

/** A tree that can be watched. */
export interface WatchedTree extends TreeSource {
  summarise(query: FoldQuery): Promise<TreeSummary>;
}

/** The options of {@link watch}. */
export interface WatchOptions {
  readonly pid: number;
  /** In ms. */
  readonly interval: number;
  readonly keyboard: Keyboard;
  readonly display: Display;
  readonly coloured: boolean;
}

/** A look for warnings transfers every scope. The pause after it is this many times its duration. */
const PAUSE_FACTOR = 20;
/** The time between the first two looks for warnings, in ms. A warning must hold in both. */
const FIRST_INTERVAL = 250;

/**
 * Shows the tree of a process on a terminal until the user quits, the process ends, or `scope` is cancelled.
 *
 * @param open - Opens the tree; its scope ends when the user quits.
 * @returns The last screen, as lines, if the process has ended.
 * @throws {CannotInspect} If the process can't be inspected, from the beginning or later.
 */
export function watch(
  scope: Scope,
  open: (scope: Scope) => WatchedTree,
  options: WatchOptions,
): Promise<readonly string[] | undefined> {
  const view = new View(options);
  return race(scope, [
    (own) => view.show(own, open(own)),
    // `hasQuit` takes no signal.
    (own) => answerWithin(own, Infinity, view.hasQuit),
  ]);
}

class View {
  readonly hasQuit: Promise<undefined>;
  readonly #options: WatchOptions;
  readonly #watcher: Watcher = createWatcher();
  #state: State;
  #terminal: Terminal | undefined;
  #quit!: () => void;
  #wake: () => void = () => {};
  /** The query of the newest look, as JSON. */
  #lastQuery = "";
  #fullLooks = 0;
  /** When to transfer every scope again, for the warnings. */
  #nextFullLook = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#state = initialState(`bough inspect ${options.pid}`);
    this.hasQuit = new Promise((resolve) => {
      this.#quit = () => resolve(undefined);
    });
  }

  async show(scope: Scope, tree: WatchedTree): Promise<readonly string[]> {
    try {
      // If the process can't be inspected, fail before the screen is taken over.
      await this.#look(tree);
      const { keyboard, display } = this.#options;
      this.#terminal = new Terminal(scope, keyboard, display, {
        onKey: (key) => this.#apply({ type: "key", key }),
        onResize: () => this.#draw(),
      });
      for (;;) {
        const began = realNow();
        await this.#lookForWarnings(scope, tree);
        this.#draw();
        const rest = this.#options.interval - (realNow() - began);
        if (!this.#wantsLook) await answerWithin(scope, Math.max(0, rest), this.#wakeUp());
        while (this.#state.paused && !this.#wantsLook) await answerWithin(scope, Infinity, this.#wakeUp());
        await this.#tryLook(tree);
      }
    } catch (error) {
      await rethrowUnlessEnded(scope, this.#options.pid, error);
      return this.#lastState();
    }
  }

  /** Whether a key has changed the query since the last look. */
  get #wantsLook(): boolean {
    return JSON.stringify(toQuery(this.#state)) !== this.#lastQuery;
  }

  #wakeUp(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  async #tryLook(tree: WatchedTree): Promise<void> {
    try {
      await this.#look(tree);
    } catch (error) {
      // The process may answer the next look.
      if (!(error instanceof CannotInspect)) throw error;
      this.#apply({ type: "problem", text: error.message });
    }
  }

  async #look(tree: WatchedTree): Promise<void> {
    const query = toQuery(this.#state);
    this.#lastQuery = JSON.stringify(query);
    const summary = await tree.summarise(query);
    this.#apply({ type: "summary", summary, detail: await detailFrom(summary, query) });
  }

  async #lookForWarnings(scope: Scope, tree: WatchedTree): Promise<void> {
    const began = realNow();
    if (this.#state.paused || began < this.#nextFullLook || this.#state.problem !== undefined) return;
    const look = await tree.look();
    const warnings = this.#watcher.add(look);
    this.#fullLooks += 1;
    this.#nextFullLook = began + PAUSE_FACTOR * (realNow() - began);
    this.#apply({ type: "warnings", warnings });
    if (this.#fullLooks > 1) return;
    await sleep(scope, FIRST_INTERVAL);
    this.#nextFullLook = 0;
    await this.#lookForWarnings(scope, tree);
  }

  #apply(action: Action): void {
    const { paused } = this.#state;
    this.#state = update(this.#state, action);
    if (this.#state.quit) {
      this.#terminal?.release();
      this.#quit();
    }
    this.#draw();
    if (this.#wantsLook || paused !== this.#state.paused) this.#wake();
  }

  #draw(): void {
    const terminal = this.#terminal;
    if (terminal === undefined) return;
    const { size } = terminal;
    this.#state = update(this.#state, { type: "page", page: pageSizeOf(this.#state, size) });
    terminal.draw(render(this.#state, size, createPaint(this.#options.coloured)));
  }

  #lastState(): readonly string[] {
    const size = this.#terminal?.size ?? { columns: 80, rows: 24 };
    this.#terminal?.release();
    const state: State = { ...this.#state, screen: "tree", filterInput: undefined, problem: undefined };
    const lines = render(state, size, (text) => text).slice(0, -1);
    return lines.slice(0, lines.findLastIndex((line) => line.trim() !== "") + 1);
  }
}

/** The details of the scope in `query.detail`, as the page shows them. */
export async function detailFrom(
  { at, detail }: TreeSummary,
  { detail: id }: FoldQuery,
): Promise<NodeDetail | undefined> {
  if (detail === undefined || id === undefined) return undefined;
  const tree = new LiveTree();
  await tree.update({ look: () => Promise.resolve({ at, nodes: detail }) });
  return detailOf(tree, id, true);
}
