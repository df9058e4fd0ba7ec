import { elapsed } from "./age-clock.js";
import { createdNodes, type ScopeNode } from "./node.js";
import { cursors, type Cursor } from "./tree.js";

/** The part of one copy of the package in a process that `npx bough inspect` uses. */
export interface Copy {
  /** Of what the walker reads: the fields of nodes and the bits of `state.ts`. Another format is refused. */
  readonly format: 1;
  /** The node above all roots. */
  readonly root: ScopeNode;
  /** The walks under way, which are told of nodes that leave the tree. */
  readonly cursors: WeakRef<Cursor>[];
  /** Milliseconds on the clock of `startedAt`. */
  readonly elapsed: () => number;
  /** How many nodes there have been. Absent in copies that are older than this field. */
  readonly created?: () => number;
}

/**
 * Makes this copy's tree known under one global symbol, so that a debugger that is attached to an unprepared process finds
 * it, bundled or not. The code that reads the tree comes with the debugger.
 *
 * The list holds the copies weakly, since a test runner or a development server may load the package again and again. The
 * root of the tree keeps its copy alive, in the field for the result of a body, which it does not have.
 */
export function announceCopy(root: ScopeNode): void {
  const copy: Copy = { format: 1, root, cursors, elapsed, created: createdNodes };
  root.value = copy;
  const found: unknown = Reflect.get(globalThis, copiesKey);
  const others = Array.isArray(found) ? (found as WeakRef<Copy>[]) : [];
  const copies = [...others.filter((other) => other.deref() !== undefined), new WeakRef(copy)];
  // Where globals are frozen the tree is not found, which nothing but the debugger needs.
  Reflect.defineProperty(globalThis, copiesKey, { value: copies, configurable: true });
}

const copiesKey = Symbol.for("bough.copies");
