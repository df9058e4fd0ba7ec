import { enter, leave, onLastLeave } from "./attachments.js";
import { nodeDescriber, type NodeInfo } from "./describe-node.js";
import { COPY_STEP, isReadable, knownCopies } from "./known-copies.js";
import type { LoopDelay } from "./look.js";
import { LoopMeter, type MonitorDelay } from "./loop-meter.js";
import { TreeCursor } from "./tree-cursor.js";
import { TreeFolder, type FoldQuery } from "./tree-folder.js";

// The half of `npx bough inspect` that runs in the inspected process: bundled into one expression, and evaluated there by
// the debugger. The process need not have loaded more of bough than a `spawn`; it pays for this code only while it is looked
// at. The expression's value is an `Agent`.

/** What the debugger calls. Every result is JSON. */
export interface Agent {
  /** `{ at, copies, unreadable }`: how many trees there are, and of how many the format is not known. */
  begin(): string;
  /** The next nodes, found in `ms` milliseconds; `"null"` at the end. */
  next(ms: number): string;
  /**
   * Folds the trees that `begin` has found, for `ms` milliseconds; to be called until it returns something else than `"null"`.
   *
   * @param query - Of the first call, a `FoldQuery` as JSON.
   * @returns At the end a `TreeSummary` without its rows and its time, and then, again and again, the next rows; `[]` at their
   * end.
   */
  fold(ms: number, query: string): string;
  /** A command begins to look into this process. See attachments.ts. */
  enter(command: number, opened: boolean): void;
  /** It no longer does. */
  leave(command: number): void;
}

interface Host {
  readonly performance: { now(): number };
  readonly Date: { now(): number };
  readonly process?: {
    readonly version?: string;
    readonly argv?: readonly string[];
    getBuiltinModule?(name: "node:perf_hooks"): { readonly monitorEventLoopDelay: MonitorDelay };
  };
}

/** How many rows are made into text at a time. */
const ROWS = 100;

function createAgent(): Agent {
  const host = globalThis as unknown as Host;
  const now = (): number => host.performance.now();
  let created = 0;
  let cursors: { readonly copy: number; readonly created: number; readonly cursor: TreeCursor<NodeInfo> }[] =
    [];
  let folding: { readonly folder: TreeFolder; sent: number } | undefined;
  const monitor = host.process?.getBuiltinModule?.("node:perf_hooks").monitorEventLoopDelay;
  const meter = monitor === undefined ? undefined : new LoopMeter(monitor);

  let isMeasuring = false;

  function readMeter(): LoopDelay | undefined {
    if (!isMeasuring)
      onLastLeave(() => {
        isMeasuring = false;
        meter?.stop();
      });
    isMeasuring = true;
    return meter?.read();
  }

  const script = host.process?.argv?.[1]?.split(/[\\/]/).at(-1) ?? "";
  const runtime = `node ${host.process?.version ?? ""} ${script}`.trim();

  /** The next nodes, with `id`s that are unique in the process; `undefined` at the end. */
  function take(ms: number): readonly NodeInfo[] | undefined {
    const [first] = cursors;
    if (first === undefined) return undefined;
    const nodes = first.cursor.take(ms);
    if (first.cursor.ended) cursors.shift();
    if (first.copy === 0) return nodes;
    const offset = first.copy * COPY_STEP;
    return nodes.map((node) => ({
      ...node,
      id: node.id + offset,
      ...(node.parent === undefined
        ? { name: `${node.name} (copy ${first.copy + 1} of the package)` }
        : { parent: node.parent + offset }),
    }));
  }

  return {
    begin() {
      for (const { cursor } of cursors) cursor.leaveTree();
      folding = undefined;
      const copies = knownCopies();
      cursors = copies.flatMap((copy, index) =>
        isReadable(copy)
          ? [
              {
                copy: index,
                created: copy.created?.() ?? 0,
                cursor: new TreeCursor(copy, now, nodeDescriber()),
              },
            ]
          : [],
      );
      created = cursors.reduce((sum, cursor) => sum + cursor.created, 0);
      return JSON.stringify({
        at: host.Date.now(),
        copies: copies.length,
        unreadable: copies.length - cursors.length,
      });
    },
    next(ms) {
      return JSON.stringify(take(ms) ?? null);
    },
    fold(ms, query) {
      if (folding !== undefined && cursors.length === 0) {
        const rows = folding.folder.rows.slice(folding.sent, folding.sent + ROWS);
        folding.sent += ROWS;
        return JSON.stringify(rows);
      }
      folding ??= { folder: new TreeFolder(JSON.parse(query) as FoldQuery), sent: 0 };
      const { folder } = folding;
      const start = now();
      do for (const node of take(0) ?? []) folder.add(node);
      while (cursors.length > 0 && now() - start < ms);
      if (cursors.length > 0) return "null";
      const { counts, left, detail } = folder;
      return JSON.stringify({ counts, left, detail, created, runtime, loopDelay: readMeter() });
    },
    enter,
    leave,
  };
}

export const agent: Agent = createAgent();
