import type { ScopeNode } from "../../kernel/node.js";
import { refuseIn, yieldBefore } from "../../kernel/refusal.js";
import { ScopedWait } from "../../kernel/scoped-wait.js";
import type { Queued, WaitQueue } from "./wait-queue.js";

/** The branch that was taken, and its value. */
export interface Taken {
  readonly key: string;
  readonly value: unknown;
}

/** One of the things that a `select` waits for, and its place in a queue while it does. */
export abstract class Branch implements Queued {
  queue: WaitQueue<Queued> | undefined = undefined;
  ahead: Queued | undefined = undefined;
  behind: Queued | undefined = undefined;
  protected readonly key: string;
  /** Set before `poll` and `enter` are called. */
  selection!: Selection;

  constructor(key: string) {
    this.key = key;
  }

  /** Calls code of the user's, which may send, close and cancel: before anything is looked at. */
  prepare(): void {}

  /** Does it if it can be done now; says whether the selection is over. */
  abstract poll(): boolean;

  /** Waits for its turn. */
  abstract enter(): void;

  leave(): void {
    this.queue?.remove(this);
  }
}

/** A pending `select`: whatever ends it takes all its branches out of their queues in the same step. */
export class Selection extends ScopedWait<Taken> {
  readonly #branches: readonly Branch[];

  /** The scope that it ends with. */
  get owner(): ScopeNode | undefined {
    return this.node;
  }

  private constructor(node: ScopeNode, branches: readonly Branch[]) {
    super(node);
    this.#branches = branches;
  }

  get operation(): string {
    return "select";
  }

  /** Takes the first branch that is ready; without one, waits for all of them. */
  static begin(node: ScopeNode, branches: readonly Branch[]): Promise<Taken> {
    for (const branch of branches) branch.prepare();
    const refused = refuseIn("select", node);
    if (refused !== undefined) return refused;
    const selection = new Selection(node, branches);
    for (const branch of branches) branch.selection = selection;
    for (const branch of branches) if (branch.poll()) return yieldIfFailed(selection);
    for (const branch of branches) branch.enter();
    return selection.promise;
  }

  /** Whether {@link fail} was called. */
  failed = false;

  take(key: string, value: unknown): void {
    this.withdraw();
    this.succeed({ key, value });
  }

  override fail(error: unknown): void {
    this.failed = true;
    this.withdraw();
    super.fail(error);
  }

  protected override withdraw(): void {
    for (const branch of this.#branches) branch.leave();
  }
}

function yieldIfFailed(selection: Selection): Promise<Taken> {
  return selection.failed ? yieldBefore(selection.promise, false) : selection.promise;
}
