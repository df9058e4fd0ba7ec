import { spawn } from "node:child_process";
import { moveOnAfter, sleep, withScope, type Scope } from "../index.js";
import { agentExpression } from "./agent-source.js";
import { answerWithin } from "./answer-within.js";
import { CannotInspect, checkTarget, commandOf, isRunning, listeningPorts } from "./processes.js";
import { DebuggingSession } from "./debugging-session.js";

/** How long Node may take to start the inspector, in ms: the signal is handled in a thread of its own. */
const START = 5_000;
/** How often to look whether the port is open, in ms. */
const STEP = 25;
/** How long to wait for the process to take the request to close its inspector, in ms. In a busy loop it takes it later. */
const CLOSE = 500;
/** How long a process may start its inspector too late, in ms, and how often to look whether it has. */
const LATE = 600_000;
const LATE_STEP = 500;

/**
 * Attaches a debugger to an unprepared Node process until `scope` ends: SIGUSR1 starts its inspector on 127.0.0.1, also
 * while the process is in a busy loop.
 *
 * However `scope` ends, the process is left as it was found. If this process is killed, the other one notices; if the other
 * one starts its inspector only when this process has given up, a process that was left behind closes it.
 *
 * @throws {CannotInspect} If the process can't be inspected; the message says why, and what to do instead.
 */
export async function attach(scope: Scope, pid: number): Promise<DebuggingSession> {
  checkTarget(pid);
  const before = listeningPorts(pid);
  // An inspector that was started with --inspect, or by another debugger, stays open.
  const open = await firstInspector(inspectorPorts(pid, before));
  if (open !== undefined) return enter(scope, open, false);
  startInspector(pid);
  let session: DebuggingSession | undefined;
  try {
    session = await moveOnAfter(scope, { timeout: START }, async (own) => {
      for (;;) {
        await sleep(own, STEP);
        const found = await newInspector(pid, before);
        if (found !== undefined) return found;
      }
    });
  } finally {
    if (session === undefined && isRunning(pid)) leaveBehind(pid, before);
  }
  if (session === undefined)
    throw new CannotInspect(
      isRunning(pid)
        ? `Process ${pid} has not started its inspector. It may be busy in native code (a long regular expression, ` +
            "synchronous I/O); another process may use its port (9229, or that of --inspect-port), as its standard error " +
            "says then; or it handles SIGUSR1 itself. Try again, or call `inspector()` of " +
            '"bough/inspector" in the process.'
        : `Process ${pid} has ended.`,
    );
  return enter(scope, session, true);
}

/**
 * Closes the inspector that a process starts too late for the command that has asked for it.
 *
 * @param before - The ports on which the process listened before.
 */
export async function closeLateInspector(
  scope: Scope,
  pid: number,
  before: ReadonlySet<number>,
): Promise<void> {
  for (let waited = 0; waited < LATE && isRunning(pid); waited += LATE_STEP) {
    const session = await newInspector(pid, before);
    if (session !== undefined) return withScope(scope, (own) => void enter(own, session, true));
    await sleep(scope, LATE_STEP);
  }
}

/** Starts a process that ends when the late inspector of another one is closed: nobody waits for it. */
function leaveBehind(pid: number, before: ReadonlySet<number>): void {
  const parameters = ["inspect", String(pid), `--close-late=${[...before].join(",")}`];
  spawn(process.execPath, [...process.execArgv, process.argv[1] ?? "", ...parameters], {
    detached: true, // Ctrl-C does not reach it
    stdio: "ignore",
  }).unref();
}

function startInspector(pid: number): void {
  const debugProcess = (process as { _debugProcess?: (pid: number) => void })._debugProcess;
  // Windows has no signals: Node has its own way there.
  if (process.platform === "win32" && debugProcess !== undefined) debugProcess(pid);
  else process.kill(pid, "SIGUSR1");
}

/** Of the ports on which a process listens, those that may be its inspector's. */
function inspectorPorts(pid: number, ports: ReadonlySet<number>): number[] {
  // The port of `--inspect=0` is any. Without such an option another debugger may have opened the usual one.
  const [, asked] = /(?:^|[\s\0])--inspect-port[=\s\0](?:\S*:)?(\d+)/.exec(commandOf(pid)) ?? [];
  const wasAsked = /(^|[\s\0])--inspect(-brk|-wait)?([=\s\0]|$)/.test(commandOf(pid));
  // Of `--inspect-port=0` the port is any, as well: another command may have had it opened.
  return [...ports].filter((port) => wasAsked || asked === "0" || port === Number(asked ?? 9229));
}

/** Connects to an inspector on a port on which the process did not listen before. */
function newInspector(pid: number, before: ReadonlySet<number>): Promise<DebuggingSession | undefined> {
  return firstInspector([...listeningPorts(pid)].filter((port) => !before.has(port)));
}

/** Connects to the first of the ports that is an inspector. */
async function firstInspector(ports: readonly number[]): Promise<DebuggingSession | undefined> {
  for (const port of ports) {
    const session = await DebuggingSession.connect(port);
    if (session !== undefined) return session;
  }
  return undefined;
}

/**
 * Tells the process that this command looks into it until `scope` ends. It answers in its turn: a process that is busy in
 * native code does later what it is asked for now.
 *
 * @param opened - Whether its inspector was started for this command.
 */
function enter(scope: Scope, session: DebuggingSession, opened: boolean): DebuggingSession {
  const tell = (method: string): Promise<unknown> =>
    session
      .call("Runtime.evaluate", { expression: `${agentExpression("agent.js")}.${method}, undefined` })
      .catch(() => {});
  scope.defer(async () => {
    const told = tell(`leave(${process.pid})`);
    await withScope((own) => answerWithin(own, CLOSE, told));
    await session.close();
  });
  void tell(`enter(${process.pid}, ${opened})`);
  return session;
}
