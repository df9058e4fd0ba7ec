// Which commands look into this process from outside. This file runs in the inspected process: see agent.ts.

interface Timer {
  unref?(): unknown;
}

/** What is used of the process. */
interface Host {
  setTimeout(callback: () => void, ms: number): Timer;
  setInterval(callback: () => void, ms: number): Timer;
  clearInterval(timer: Timer | undefined): void;
  readonly process?: {
    kill?(pid: number, signal: 0): unknown;
    getBuiltinModule?(name: "node:inspector"): { close(): void };
    _debugEnd?(): void;
  };
}

/** Kept under a global symbol while a command is attached: each command brings its own copy of this code. */
interface Attached {
  /** The process ids of the commands. */
  readonly commands: Set<number>;
  /** What is to be done when the last one has gone. */
  readonly cleanups: (() => void)[];
  /** Whether one of them has started the inspector, so that it is to be closed. */
  opened: boolean;
  timer: Timer | undefined;
}

const attachedKey = Symbol.for("bough.attached");
/** How often to look whether the commands still run, in ms. */
const CHECK = 2_000;
/** How long a command may take to close its connection, in ms: as long as there is one, closing the inspector waits. */
const GOODBYE = 50;

const host = globalThis as unknown as Host;

const attached = (): Attached | undefined => Reflect.get(globalThis, attachedKey) as Attached | undefined;

/**
 * A command looks into this process. A command that is killed can't say that it has gone: so it is looked for.
 *
 * @param command - Its process id.
 * @param opened - Whether it has started the inspector.
 */
export function enter(command: number, opened: boolean): void {
  let state = attached();
  if (state === undefined) {
    state = { commands: new Set(), cleanups: [], opened: false, timer: host.setInterval(check, CHECK) };
    state.timer?.unref?.();
    Reflect.defineProperty(globalThis, attachedKey, { value: state, configurable: true });
  }
  state.commands.add(command);
  if (opened) state.opened = true;
}

/** A command no longer looks into this process. The last one leaves it as the first one has found it. */
export function leave(command: number): void {
  const state = attached();
  if (state?.commands.delete(command) !== true || state.commands.size > 0) return;
  host.clearInterval(state.timer);
  Reflect.deleteProperty(globalThis, attachedKey);
  for (const cleanup of state.cleanups) cleanup();
  if (state.opened) host.setTimeout(closeInspector, GOODBYE).unref?.();
}

/** Has something done when the last command has gone; at once if there is none. */
export function onLastLeave(cleanup: () => void): void {
  const state = attached();
  if (state === undefined) cleanup();
  else state.cleanups.push(cleanup);
}

function check(): void {
  for (const command of attached()?.commands ?? []) if (!isRunning(command)) leave(command);
}

function isRunning(pid: number): boolean {
  try {
    host.process?.kill?.(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: unknown }).code !== "ESRCH";
  }
}

function closeInspector(): void {
  const next = attached();
  if (next !== undefined) {
    next.opened = true; // another command has come meanwhile, and closes it
    return;
  }
  const { process } = host;
  // Before Node 20.16 there is no such function.
  if (process?.getBuiltinModule === undefined) process?._debugEnd?.();
  else process.getBuiltinModule("node:inspector").close();
}
