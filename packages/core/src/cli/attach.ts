import { moveOnAfter, sleep, withScope, type Scope } from "../index.js";
import { answerWithin } from "./answer-within.js";
import { CannotInspect, checkTarget, commandOf, listeningPorts } from "./processes.js";
import { DebuggingSession } from "./debugging-session.js";

/** How long Node may take to start the inspector, in ms: the signal is handled in a thread of its own. */
const START = 5_000;
/** How often to look whether the port is open, in ms. */
const STEP = 25;
/** How long to wait for the process to take the request to close its inspector, in ms. In a busy loop it takes it later. */
const CLOSE = 500;

/**
 * Attaches a debugger to an unprepared Node process until `scope` ends: SIGUSR1 starts its inspector on 127.0.0.1, also
 * while the process is in a busy loop. When `scope` ends, the process is left as it was found.
 *
 * @throws {CannotInspect} If the process can't be inspected; the message says why, and what to do instead.
 */
export async function attach(scope: Scope, pid: number): Promise<DebuggingSession> {
  checkTarget(pid);
  const before = listeningPorts(pid);
  // An inspector that was started with --inspect, or by another debugger, stays open.
  const open = await firstInspector(inspectorPorts(pid, before));
  if (open !== undefined) {
    scope.defer(() => open.close());
    return open;
  }
  startInspector(pid);
  const session = await moveOnAfter(scope, { timeout: START }, async (own) => {
    for (;;) {
      await sleep(own, STEP);
      const found = await firstInspector([...listeningPorts(pid)].filter((port) => !before.has(port)));
      if (found !== undefined) return found;
    }
  });
  if (session === undefined)
    throw new CannotInspect(
      `Process ${pid} has not started its inspector. Either another process uses its port (9229, or that of ` +
        "--inspect-port), as its standard error says then, or it handles SIGUSR1 itself. Call `inspector()` of " +
        '"bough/inspector" in the process instead.',
    );
  scope.defer(() => closeInspector(session));
  return session;
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
  const wasAsked = /(^|[\s\0])--inspect(-brk|-wait)?([=\s\0]|$)/.test(commandOf(pid));
  return [...ports].filter((port) => wasAsked || port === 9229);
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
 * Has the process close its inspector when this connection has gone: `inspector.close()` waits for open connections, so it
 * is called a little later, by a timer that keeps nothing alive.
 */
async function closeInspector(session: DebuggingSession): Promise<void> {
  const expression =
    'setTimeout(() => process.getBuiltinModule("node:inspector").close(), 50).unref(), undefined';
  const asked = session.call("Runtime.evaluate", { expression }).catch(() => {});
  await withScope((scope) => answerWithin(scope, CLOSE, asked));
  await session.close();
}
