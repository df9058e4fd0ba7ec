import { spawn } from "node:child_process";
import { moveOnAfter, sleep, withScope, type Scope } from "../index.js";
import { agentExpression } from "./agent-source.js";
import { answerWithin } from "./answer-within.js";
import { CannotInspect, checkTarget, commandOf, isRunning, listeningPorts } from "./processes.js";
import { DebuggingSession } from "./debugging-session.js";

/** How long Node may take to start the inspector, in ms. A separate thread handles the signal. */
const START_TIMEOUT = 5_000;
/** How often to check whether the port is open, in ms. */
const POLL_INTERVAL = 25;
/** How long to wait for the answer to `detach`, in ms. A process in a busy loop handles the call later. */
const CLOSE_TIMEOUT = 500;
/** How long to wait for an inspector that starts too late, in ms, and how often to check for it. */
const LATE_TIMEOUT = 600_000;
const LATE_POLL_INTERVAL = 500;

/**
 * Attaches a debugger to a Node process until `scope` ends. The process needs no preparation: SIGUSR1 starts its
 * inspector on 127.0.0.1, even during a busy loop.
 *
 * However `scope` ends, the inspected process is left as it was found. If this process is killed, the inspected process
 * notices and closes its inspector. If the inspector starts only after this process has given up, a background process
 * closes it.
 *
 * @throws {CannotInspect} If the process can't be inspected; the message says why, and what to do instead.
 */
export async function attach(scope: Scope, pid: number): Promise<DebuggingSession> {
  checkTarget(pid);
  const before = listeningPorts(pid);
  // An inspector that was started with --inspect, or by another debugger, stays open.
  const open = await firstInspector(inspectorPorts(pid, before));
  if (open !== undefined) return registerCommand(scope, open, false);
  startInspector(pid);
  let session: DebuggingSession | undefined;
  try {
    session = await moveOnAfter(scope, { timeout: START_TIMEOUT }, async (own) => {
      for (;;) {
        await sleep(own, POLL_INTERVAL);
        const found = await newInspector(pid, before);
        if (found !== undefined) return found;
      }
    });
  } finally {
    if (session === undefined && isRunning(pid)) closeInspectorLater(pid, before);
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
  return registerCommand(scope, session, true);
}

/**
 * Waits for the inspector of a process that has not started in time, and closes it.
 *
 * @param before - The ports on which the process listened before the signal.
 */
export async function closeLateInspector(
  scope: Scope,
  pid: number,
  before: ReadonlySet<number>,
): Promise<void> {
  for (let waited = 0; waited < LATE_TIMEOUT && isRunning(pid); waited += LATE_POLL_INTERVAL) {
    const session = await newInspector(pid, before);
    if (session !== undefined) return withScope(scope, (own) => void registerCommand(own, session, true));
    await sleep(scope, LATE_POLL_INTERVAL);
  }
}

/** Starts a background process that runs {@link closeLateInspector}. */
function closeInspectorLater(pid: number, before: ReadonlySet<number>): void {
  const parameters = ["inspect", String(pid), `--close-late=${[...before].join(",")}`];
  spawn(process.execPath, [...process.execArgv, process.argv[1] ?? "", ...parameters], {
    detached: true, // Ctrl-C does not reach it
    stdio: "ignore",
  }).unref();
}

function startInspector(pid: number): void {
  const debugProcess = (process as { _debugProcess?: (pid: number) => void })._debugProcess;
  // Windows has no SIGUSR1. Node has this function instead.
  if (process.platform === "win32" && debugProcess !== undefined) debugProcess(pid);
  else process.kill(pid, "SIGUSR1");
}

/** Selects those ports on which the inspector of the process may listen. */
function inspectorPorts(pid: number, ports: ReadonlySet<number>): number[] {
  // With `--inspect=0` the port is random. Without such an option another debugger may have opened the default port.
  const [, asked] = /(?:^|[\s\0])--inspect-port[=\s\0](?:\S*:)?(\d+)/.exec(commandOf(pid)) ?? [];
  const wasAsked = /(^|[\s\0])--inspect(-brk|-wait)?([=\s\0]|$)/.test(commandOf(pid));
  // With `--inspect-port=0` the port is random, too: another command may have started the inspector.
  return [...ports].filter((port) => wasAsked || asked === "0" || port === Number(asked ?? 9229));
}

/** Connects to an inspector on a port on which the process did not listen before. */
function newInspector(pid: number, before: ReadonlySet<number>): Promise<DebuggingSession | undefined> {
  return firstInspector([...listeningPorts(pid)].filter((port) => !before.has(port)));
}

/** Connects to the first of these ports on which an inspector listens. */
async function firstInspector(ports: readonly number[]): Promise<DebuggingSession | undefined> {
  for (const port of ports) {
    const session = await DebuggingSession.connect(port);
    if (session !== undefined) return session;
  }
  return undefined;
}

/**
 * Registers this command in the inspected process until `scope` ends. A process that is busy in native code handles the
 * calls later.
 *
 * @param opened - Whether its inspector was started for this command.
 */
function registerCommand(scope: Scope, session: DebuggingSession, opened: boolean): DebuggingSession {
  const callAgent = (method: string): Promise<unknown> =>
    session
      .call("Runtime.evaluate", { expression: `${agentExpression("agent.js")}.${method}, undefined` })
      .catch(() => {});
  scope.defer(async () => {
    const detached = callAgent(`detach(${process.pid})`);
    await withScope((own) => answerWithin(own, CLOSE_TIMEOUT, detached));
    await session.close();
  });
  void callAgent(`attach(${process.pid}, ${opened})`);
  return session;
}
