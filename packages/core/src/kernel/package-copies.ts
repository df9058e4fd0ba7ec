import { elapsed } from "./monotonic-clock.js";
import { createdNodes, type ScopeNode } from "./node.js";
import { cursors, type Cursor } from "./tree.js";

/** A copy of the package in a process, as `npx bough inspect` sees it. A process may load several. */
export interface PackageCopy {
  /** The version of the data that `bough inspect` reads: the fields of nodes and the bits of `state.ts`. */
  readonly format: 1;
  /** The node above all roots. */
  readonly root: ScopeNode;
  /** The running walks. They are notified of nodes that leave the tree. */
  readonly cursors: WeakRef<Cursor>[];
  /** Milliseconds on the clock of `startedAt`. */
  readonly elapsed: () => number;
  /** How many nodes have been created. Absent in copies that are older than this field. */
  readonly created?: () => number;
}

/**
 * Registers this copy's tree under a global symbol, so that an attached debugger finds it, bundled or not. The code
 * that reads the tree comes with the debugger.
 *
 * The list holds the copies weakly, since a test runner or a development server may load the package many times. The
 * background node keeps its copy alive in `value`, which it does not use otherwise.
 */
export function registerCopy(root: ScopeNode): void {
  const copy: PackageCopy = { format: 1, root, cursors, elapsed, created: createdNodes };
  root.value = copy;
  const found: unknown = Reflect.get(globalThis, copiesKey);
  const others = Array.isArray(found) ? (found as WeakRef<PackageCopy>[]) : [];
  const copies = [...others.filter((other) => other.deref() !== undefined), new WeakRef(copy)];
  // Fails if globals are frozen. Then only the debugger does not work.
  Reflect.defineProperty(globalThis, copiesKey, { value: copies, configurable: true });
}

const copiesKey = Symbol.for("bough.copies");
