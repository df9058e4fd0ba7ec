import { BoughError } from "../../errors/bough-error.js";
import type { TaskStatus } from "../../errors/scope-errors.js";
import { formatDuration } from "../../inspect/duration.js";
import type { ScopeState } from "../../kernel/scope.js";
import { isUserFrame } from "./stack.js";

/** A leak: a scope or a resource that should have ended. Plain data that keeps nothing alive. */
export interface LeakReport {
  /** `resource`: not bough's, but a timer, socket, server, child process, thread … that holds the process. */
  readonly kind: "scope" | "task" | "resource";
  /** The name of a scope or a task; the kind of a resource: `interval of 1000 ms`, `TCP server`. */
  readonly name: string;
  /** The names from the root. Of a resource, its name and its details: `TCP server 127.0.0.1:8080`. */
  readonly path: string;
  /** A task's status, a scope's state, or `active`; `orphaned`: it was dropped without being closed. */
  readonly status: TaskStatus | ScopeState | "active" | "orphaned";
  /** Milliseconds since its creation. Unknown for resources from before the recording. */
  readonly age?: number;
  /** Present on a scope or task that was made under a virtual clock that has ended since. */
  readonly leftByClock?: true;
  /** The line to look at: where it was spawned or created. Recorded only while tracing is on, or recording. */
  readonly spawnedAt?: string;
  /** The whole stack of `spawnedAt`, innermost frame first, without Node's own frames. Of resources only. */
  readonly stack?: readonly string[];
  /** Node's name for it, such as `Timeout` or `TCPSERVERWRAP`. Of resources only. */
  readonly type?: string;
}

/** How many leaks a message lists; `leaks` has all. */
const LISTED = 20;
const FRAMES = 5;

/**
 * Thrown when something is still alive at the end of a test. Its message lists each leak with its path, age, status and
 * where it was spawned. Its stack is that of the first leak, so that a test runner shows that line.
 */
export class LeakError extends BoughError {
  /** The leaks, as data. */
  readonly leaks: readonly LeakReport[];

  /**
   * @param leaks - At least one.
   * @param when - When this was found: "after 1 s".
   */
  constructor(leaks: readonly LeakReport[], when: string) {
    const head = `${leaks.length} ${leaks.length === 1 ? "leak" : "leaks"}, still there ${when}:`;
    const listed = leaks.slice(0, LISTED).map((leak) => `\n\n${formatLeak(leak)}`);
    const more = leaks.length > LISTED ? `\n\n  and ${leaks.length - LISTED} more` : "";
    const known = leaks.every((leak) => leak.spawnedAt !== undefined);
    const hint = known
      ? ""
      : "\n\nTo see where each was started, call recordOrigins() of bough/testing first.";
    super("BOUGH_LEAKS", `${head}${listed.join("")}${more}${hint}`);
    this.leaks = leaks;
    const frames = leaks.map(framesOf).find((found) => found.length > 0);
    const own = this.stack; // read in any case: an unread stack keeps its receivers alive
    const lines = frames?.map((frame) => `\n    at ${frame}`) ?? [];
    if (frames === undefined) void own;
    else this.stack = `${this.name}: ${this.message}${lines.join("")}`;
  }

  static {
    this.prototype.name = "LeakError";
  }
}

function formatLeak(leak: LeakReport): string {
  const age = leak.age === undefined ? "" : `, ${formatDuration(leak.age)} old`;
  const left = leak.leftByClock === true ? ", left by an earlier virtual clock" : "";
  const kind = leak.kind === "resource" ? "" : `${leak.kind} `;
  const status = leak.status === "orphaned" ? "dropped without close" : leak.status;
  const what = `${kind}${leak.path} (${status}${age}${left})`;
  const verb = leak.kind === "task" ? "spawned" : "created";
  const [first, ...rest] = framesOf(leak);
  if (first === undefined) return `  ${what}`;
  const others = rest.slice(0, FRAMES - 1).map((frame) => `\n        from ${frame}`);
  return `  ${what}\n    ${verb} at ${first}${others.join("")}`;
}

/** The frames from the relevant line outwards, without those of libraries. */
function framesOf({ stack, spawnedAt }: LeakReport): readonly string[] {
  if (spawnedAt === undefined) return [];
  const outer = stack?.slice(stack.indexOf(spawnedAt) + 1) ?? [];
  return [spawnedAt, ...outer.filter(isUserFrame)];
}
