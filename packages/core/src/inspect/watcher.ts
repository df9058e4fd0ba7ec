import { checkOptionsObject, outOfRange, requireDuration, wrongType } from "../errors/validate.js";
import { optionNames } from "../errors/option-names.js";
import type { NodeInfo } from "./describe-node.js";
import type { Look } from "./look.js";
import type { Summary, Thresholds, Warning, WarningCode } from "./warning.js";
import { rules, summarise } from "./warning-rules.js";

/** The options of {@link createWatcher}. */
export interface WatcherOptions {
  /** Warnings to leave out. Default: none. */
  readonly silence?: readonly WarningCode[];
  /** How long a scope without a grace period may take to end once it was cancelled, in ms. Default: 5,000. */
  readonly stuckAfter?: number;
  /** The age at which a task should have checked for a cancellation, in ms. Default: 10,000. */
  readonly deafAfter?: number;
  /** The age at which a handle without running work is reported, in ms. Default: 60,000. */
  readonly unclosedAfter?: number;
  /** How late the event loop may be, in ms. Default: 200. */
  readonly blockedAfter?: number;
}

const watcherOptionNames = optionNames<WatcherOptions>({
  silence: true,
  stuckAfter: true,
  deafAfter: true,
  unclosedAfter: true,
  blockedAfter: true,
});

/** Finds faults in a process from successive looks at it. Created by {@link createWatcher}. */
export interface Watcher {
  /**
   * Adds the next look. Returns the warnings that hold in it and in the previous look: a short fault causes no warning.
   */
  add(look: Look): readonly Warning[];
}

/** How many summaries are kept: growth five times in a row needs six. */
const KEPT = 6;

/**
 * Creates a watcher, which derives warnings from successive looks at a process.
 *
 * @param options - The warnings to leave out, and the thresholds of the others.
 * @returns The watcher. It keeps counts of the last six looks.
 * @throws {TypeError | RangeError} If an option is wrong.
 * @example
 * ```ts
 * await withScope({ name: "server" }, async (scope) => {
 *   spawn(scope, function job() { return new Promise((resolve) => setTimeout(resolve, 5)); });
 *   const watcher = createWatcher({ deafAfter: 0 });
 *   const look = () => ({ at: Date.now(), nodes: flatten(snapshot(scope)) });
 *   watcher.add(look());
 *   console.log(watcher.add(look())[0]?.title); // "job" would not notice a cancellation
 * });
 * ```
 */
export function createWatcher(options: WatcherOptions = {}): Watcher {
  checkOptionsObject("createWatcher", options, watcherOptionNames);
  const {
    silence = [],
    stuckAfter = 5_000,
    deafAfter = 10_000,
    unclosedAfter = 60_000,
    blockedAfter = 200,
  } = options;
  if (!Array.isArray(silence)) throw wrongType("createWatcher", "silence must be an array", silence);
  for (const code of silence)
    if (!Object.hasOwn(rules, code))
      throw outOfRange("createWatcher", `silence must contain only ${Object.keys(rules).join(", ")}`, code);
  for (const [name, ms] of Object.entries({ stuckAfter, deafAfter, unclosedAfter, blockedAfter }))
    requireDuration("createWatcher", name, ms);
  const thresholds = { stuck: stuckAfter, deaf: deafAfter, unclosed: unclosedAfter, blocked: blockedAfter };
  return new LookWatcher(thresholds, new Set(silence));
}

/** The result of {@link createWatcher}. */
export class LookWatcher implements Watcher {
  readonly #thresholds: Thresholds;
  readonly #silent: ReadonlySet<WarningCode>;
  #summaries: readonly Summary[] = [];
  #before: ReadonlySet<string> = new Set();

  constructor(thresholds: Thresholds, silent: ReadonlySet<WarningCode>) {
    this.#thresholds = thresholds;
    this.#silent = silent;
  }

  /** @param summary - The summary of the whole tree, if `look` contains only the scopes that a rule may report. */
  add(look: Look, summary: Summary = summarise(look)): readonly Warning[] {
    const summaries: [Summary, ...Summary[]] = [summary, ...this.#summaries.slice(0, KEPT - 1)];
    this.#summaries = summaries;
    const history = {
      look,
      summaries,
      byId: new Map(look.nodes.map((node) => [node.id, node])),
      childrenOf: childrenIn(look.nodes),
      thresholds: this.#thresholds,
    };
    const found = Object.entries(rules).flatMap(([code, rule]) =>
      this.#silent.has(code as WarningCode) ? [] : rule(history),
    );
    const held = this.#before;
    this.#before = new Set(found.flatMap(keysOf));
    return found.filter((warning) => keysOf(warning).some((key) => held.has(key)));
  }
}

function childrenIn(nodes: readonly NodeInfo[]): Map<number, NodeInfo[]> {
  const found = new Map<number, NodeInfo[]>();
  for (const node of nodes) {
    if (node.parent === undefined) continue;
    const siblings = found.get(node.parent);
    if (siblings === undefined) found.set(node.parent, [node]);
    else siblings.push(node);
  }
  return found;
}

/** Two warnings are the same if they concern one of the same scopes. A blocked event loop concerns all scopes. */
function keysOf({ code, nodes }: Warning): string[] {
  return code === "blocked" ? [code] : nodes.map((id) => `${code} ${id}`);
}
