// The commands that are attached to this process. This file runs in the inspected process: see agent.ts.

interface Timer {
  unref?(): unknown;
}

/** The globals that are used. */
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

/** Stored under a global symbol while a command is attached, since each command brings its own copy of this code. */
interface Attachments {
  /** The process ids of the commands. */
  readonly commands: Set<number>;
  /** Run when the last command detaches. */
  readonly cleanups: (() => void)[];
  /** Whether one of the commands has started the inspector. Then the last one closes it. */
  opened: boolean;
  timer: Timer | undefined;
}

const attachedKey = Symbol.for("bough.attached");
/** How often to check whether the commands still run, in ms. */
const CHECK_INTERVAL = 2_000;
/** How long a command may take to close its connection, in ms. Closing the inspector would block until then. */
const CLOSE_DELAY = 50;

const host = globalThis as unknown as Host;

const attached = (): Attachments | undefined =>
  Reflect.get(globalThis, attachedKey) as Attachments | undefined;

/**
 * A command attaches to this process. A command that is killed cannot detach, so a timer checks that each one still
 * runs.
 *
 * @param command - The process id of the command.
 * @param opened - Whether the command has started the inspector.
 */
export function attach(command: number, opened: boolean): void {
  let state = attached();
  if (state === undefined) {
    state = {
      commands: new Set(),
      cleanups: [],
      opened: false,
      timer: host.setInterval(check, CHECK_INTERVAL),
    };
    state.timer?.unref?.();
    Reflect.defineProperty(globalThis, attachedKey, { value: state, configurable: true });
  }
  state.commands.add(command);
  if (opened) state.opened = true;
}

/** A command detaches. The last one restores the state that the first one found. */
export function detach(command: number): void {
  const state = attached();
  if (state?.commands.delete(command) !== true || state.commands.size > 0) return;
  host.clearInterval(state.timer);
  Reflect.deleteProperty(globalThis, attachedKey);
  for (const cleanup of state.cleanups) cleanup();
  if (state.opened) host.setTimeout(closeInspector, CLOSE_DELAY).unref?.();
}

/** Runs `cleanup` when the last command detaches, or immediately if none is attached. */
export function onLastDetach(cleanup: () => void): void {
  const state = attached();
  if (state === undefined) cleanup();
  else state.cleanups.push(cleanup);
}

function check(): void {
  for (const command of attached()?.commands ?? []) if (!isRunning(command)) detach(command);
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
    next.opened = true; // another command has attached since, and will close it
    return;
  }
  const { process } = host;
  // `getBuiltinModule` was added in Node 20.16.
  if (process?.getBuiltinModule === undefined) process?._debugEnd?.();
  else process.getBuiltinModule("node:inspector").close();
}
