import { attach, detach, onLastDetach } from "./attachments.js";
import { nodeDescriber, type NodeInfo } from "./describe-node.js";
import { COPY_STEP, isReadable, knownCopies } from "./known-copies.js";
import type { LoopDelay } from "./look.js";
import { LoopMeter, type MonitorDelay } from "./loop-meter.js";
import { TreeCursor } from "./tree-cursor.js";
import { TreeFolder, type FoldQuery } from "./fold-tree.js";

// The part of `npx bough inspect` that runs in the inspected process. It is bundled into one expression, which the
// debugger evaluates there; its value is an `Agent`. The process needs only the core of bough, and pays for this code
// only while it is inspected.

/** The methods that the debugger calls. Every result is JSON. */
export interface Agent {
  /**
   * Begins a walk. Returns `{ at, copies, unreadable }`: the number of trees, and how many of them have an unknown
   * format.
   */
  begin(): string;
  /** The next nodes, found in `ms` milliseconds; `"null"` at the end. */
  next(ms: number): string;
  /**
   * Folds the trees that `begin` has found, for `ms` milliseconds. Call it until it no longer returns `"null"`.
   *
   * @param query - A `FoldQuery` as JSON. Only the first call reads it.
   * @returns First `"null"` while folding, then a `TreeSummary` without its rows and its time. Each later call returns
   * the next rows, and `[]` after the last one.
   */
  fold(ms: number, query: string): string;
  /** A command attaches to this process. See attachments.ts. */
  attach(command: number, opened: boolean): void;
  /** The command detaches. */
  detach(command: number): void;
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

/** How many rows one call returns. */
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
      onLastDetach(() => {
        isMeasuring = false;
        meter?.stop();
      });
    isMeasuring = true;
    return meter?.read();
  }

  const script = host.process?.argv?.[1]?.split(/[\\/]/).at(-1) ?? "";
  const runtime = `node ${host.process?.version ?? ""} ${script}`.trim();

  /** The next nodes, with `id`s that are unique in the process, or `undefined` at the end. */
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
      for (const { cursor } of cursors) cursor.close();
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
      const { counts, omitted, detail } = folder;
      return JSON.stringify({ counts, omitted, detail, created, runtime, loopDelay: readMeter() });
    },
    attach,
    detach,
  };
}

export const agent: Agent = createAgent();
