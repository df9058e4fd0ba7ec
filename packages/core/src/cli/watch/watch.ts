import { createWatcher, type TreeSource, type Watcher } from "../../inspect/index.js";
import type { FoldQuery, TreeSummary } from "../../inspect/tree-folder.js";
import { detailOf, type NodeDetail } from "../../inspector/detail.js";
import { LiveTree } from "../../inspector/live-tree.js";
import { race, sleep, type Scope } from "../../index.js";
import { realNow } from "../../kernel/platform.js";
import { answerWithin } from "../answer-within.js";
import { rethrowUnlessEnded } from "../ended.js";
import { CannotInspect } from "../processes.js";
import { firstState, queryOf, update, type Happening, type State } from "./model.js";
import { createPaint } from "./paint.js";
import { pageOf, render } from "./render.js";
import { Terminal, type Display, type Keyboard } from "./terminal.js";

/** What is watched. */
export interface WatchedTree extends TreeSource {
  summarise(query: FoldQuery): Promise<TreeSummary>;
}

/** How a process is watched. */
export interface WatchOptions {
  readonly pid: number;
  /** In ms. */
  readonly interval: number;
  readonly keyboard: Keyboard;
  readonly display: Display;
  readonly coloured: boolean;
}

/** A look for the warnings transfers every scope: it takes at most one twentieth of the time. */
const SHARE = 20;
/** Between the first two looks for the warnings, in ms: what is over by the second is not worth a warning. */
const FIRST = 250;

/**
 * Shows the tree of a process on a terminal until the user quits, the process ends, or `scope` is cancelled.
 *
 * @param open - Makes the tree; its scope ends when the user quits.
 * @returns The last state, as lines, if the process has ended.
 * @throws {CannotInspect} If the process can't be looked at, or can no longer be looked at.
 */
export function watch(
  scope: Scope,
  open: (scope: Scope) => WatchedTree,
  options: WatchOptions,
): Promise<readonly string[] | undefined> {
  const view = new View(options);
  return race(scope, [
    (own) => view.show(own, open(own)),
    // A promise that takes no signal.
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
  /** The query of the newest look, as text. */
  #asked = "";
  #fullLooks = 0;
  /** When to look at every scope again, for the warnings. */
  #nextFullLook = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#state = firstState(`bough inspect ${options.pid}`);
    this.hasQuit = new Promise((resolve) => {
      this.#quit = () => resolve(undefined);
    });
  }

  async show(scope: Scope, tree: WatchedTree): Promise<readonly string[]> {
    try {
      // If the process can't be looked at, this is said before the screen is taken over.
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
        if (!this.#wantsLook) await answerWithin(scope, Math.max(0, rest), this.#woken());
        while (this.#state.paused && !this.#wantsLook) await answerWithin(scope, Infinity, this.#woken());
        await this.#tryLook(tree);
      }
    } catch (error) {
      await rethrowUnlessEnded(scope, this.#options.pid, error);
      return this.#lastState();
    }
  }

  /** Whether a key has made another look necessary. */
  get #wantsLook(): boolean {
    return JSON.stringify(queryOf(this.#state)) !== this.#asked;
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  async #tryLook(tree: WatchedTree): Promise<void> {
    try {
      await this.#look(tree);
    } catch (error) {
      // It may be able to answer again.
      if (!(error instanceof CannotInspect)) throw error;
      this.#apply({ type: "trouble", text: error.message });
    }
  }

  async #look(tree: WatchedTree): Promise<void> {
    const query = queryOf(this.#state);
    this.#asked = JSON.stringify(query);
    const summary = await tree.summarise(query);
    this.#apply({ type: "summary", summary, detail: await detailIn(summary, query) });
  }

  async #lookForWarnings(scope: Scope, tree: WatchedTree): Promise<void> {
    const began = realNow();
    if (this.#state.paused || began < this.#nextFullLook || this.#state.trouble !== undefined) return;
    const look = await tree.look();
    const warnings = this.#watcher.add(look);
    this.#fullLooks += 1;
    this.#nextFullLook = began + SHARE * (realNow() - began);
    this.#apply({ type: "warnings", warnings });
    if (this.#fullLooks > 1) return;
    await sleep(scope, FIRST);
    this.#nextFullLook = 0;
    await this.#lookForWarnings(scope, tree);
  }

  #apply(happening: Happening): void {
    const { paused } = this.#state;
    this.#state = update(this.#state, happening);
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
    this.#state = update(this.#state, { type: "page", page: pageOf(this.#state, size) });
    terminal.draw(render(this.#state, size, createPaint(this.#options.coloured)));
  }

  #lastState(): readonly string[] {
    const size = this.#terminal?.size ?? { columns: 80, rows: 24 };
    this.#terminal?.release();
    const state: State = { ...this.#state, screen: "tree", typed: undefined, trouble: undefined };
    const lines = render(state, size, (text) => text).slice(0, -1);
    return lines.slice(0, lines.findLastIndex((line) => line.trim() !== "") + 1);
  }
}

/** Everything about the scope of the details, as the page has it. */
export async function detailIn(
  { at, detail }: TreeSummary,
  { detail: id }: FoldQuery,
): Promise<NodeDetail | undefined> {
  if (detail === undefined || id === undefined) return undefined;
  const tree = new LiveTree();
  await tree.update({ look: () => Promise.resolve({ at, nodes: detail }) });
  return detailOf(tree, id, true);
}
