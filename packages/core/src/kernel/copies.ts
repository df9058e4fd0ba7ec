import { elapsed } from "./age-clock.js";
import type { ScopeNode } from "./node.js";
import { cursors, type Cursor } from "./tree.js";

/** What `npx bough inspect` needs of one copy of the package in a process. */
export interface Copy {
  /** Of what the walker reads: the fields of nodes and the bits of `state.ts`. Another format is refused. */
  readonly format: 1;
  /** The node above all roots. */
  readonly root: ScopeNode;
  /** The walks under way, which are told of nodes that leave the tree. */
  readonly cursors: Cursor[];
  /** Milliseconds on the clock of `startedAt`. */
  readonly elapsed: () => number;
}

/**
 * Makes this copy's tree known under one global symbol, so that a debugger that is attached to an unprepared process finds
 * it, bundled or not. It holds what the module holds anyway, and costs nothing until somebody looks. The code that reads
 * the tree comes with the debugger.
 */
export function announceCopy(root: ScopeNode): void {
  const found: unknown = Reflect.get(globalThis, copiesKey);
  const copy: Copy = { format: 1, root, cursors, elapsed };
  if (Array.isArray(found)) found.push(copy);
  // Where globals are frozen the tree is not found, which nothing but the debugger needs.
  else Reflect.defineProperty(globalThis, copiesKey, { value: [copy], configurable: true });
}

const copiesKey = Symbol.for("bough.copies");
