import type { Copy } from "../kernel/copies.js";
import { TreeCursor } from "./tree-cursor.js";

// The half of `npx bough inspect` that runs in the inspected process: bundled into one expression, and evaluated there by
// the debugger. The process need not have loaded more of bough than a `spawn`; it pays for this code only while it is looked
// at. The expression's value is an `Agent`.

/** What the debugger calls. Every result is JSON. */
export interface Agent {
  /** `{ at, copies, unreadable }`: how many trees there are, and of how many the format is not known. */
  begin(): string;
  /** The next nodes, found in `ms` milliseconds; `"null"` at the end. */
  next(ms: number): string;
}

interface Host {
  readonly performance: { now(): number };
  readonly Date: { now(): number };
}

/** A copy whose format is to be checked. */
type AnyCopy = Omit<Copy, "format"> & { readonly format: number };

/** The `id`s of a further copy of the package begin here: each counts from 1. */
const COPY_STEP = 2 ** 44;

function createAgent(): Agent {
  const host = globalThis as unknown as Host;
  const now = (): number => host.performance.now();
  let cursors: { readonly copy: number; readonly cursor: TreeCursor }[] = [];
  return {
    begin() {
      for (const { cursor } of cursors) cursor.leaveTree();
      const found: unknown = Reflect.get(globalThis, Symbol.for("bough.copies"));
      const copies = Array.isArray(found)
        ? (found as WeakRef<AnyCopy>[]).flatMap((copy) => copy.deref() ?? [])
        : [];
      cursors = copies.flatMap((copy, index) =>
        copy.format === 1 ? [{ copy: index, cursor: new TreeCursor(copy, now) }] : [],
      );
      return JSON.stringify({
        at: host.Date.now(),
        copies: copies.length,
        unreadable: copies.length - cursors.length,
      });
    },
    next(ms) {
      const first = cursors[0];
      if (first === undefined) return "null";
      const nodes = first.cursor.take(ms);
      if (first.cursor.ended) cursors.shift();
      if (first.copy === 0) return JSON.stringify(nodes);
      const offset = first.copy * COPY_STEP;
      return JSON.stringify(
        nodes.map((node) => ({
          ...node,
          id: node.id + offset,
          ...(node.parent === undefined
            ? { name: `${node.name} (copy ${first.copy + 1} of the package)` }
            : { parent: node.parent + offset }),
        })),
      );
    },
  };
}

export const agent: Agent = createAgent();
