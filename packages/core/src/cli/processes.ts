import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

// Asks the operating system about another process: whether it exists, whether SIGUSR1 would end it, and on which ports
// it listens. The source is /proc on Linux, and ps and lsof elsewhere.

/** The process can't be inspected. The command prints the message. */
export class CannotInspect extends Error {
  override readonly name: string = "CannotInspect";
}

const hint =
  'Call `inspector()` of "bough/inspector" in the process instead: it serves the same tree on a socket.';

/**
 * Checks that SIGUSR1 starts the inspector of process `pid` and does not kill the process.
 *
 * @throws {CannotInspect} If it does not exist, belongs to another user, is not a Node process, or does not handle the
 * signal.
 */
export function checkTarget(pid: number): void {
  try {
    process.kill(pid, 0);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ESRCH") throw new CannotInspect(`There is no process ${pid}.`);
    if (code === "EPERM")
      throw new CannotInspect(
        `Process ${pid} belongs to another user. Run this command as that user: sudo -u USER npx bough inspect ${pid}.`,
      );
    throw error;
  }
  if (pid === process.pid)
    throw new CannotInspect("The process id is that of this command itself. Pass the id of another process.");
  if (!isRunning(pid)) throw new CannotInspect(`Process ${pid} has ended, and its parent has not reaped it.`);
  if (/[Tt]/.test(stateOf(pid) ?? ""))
    throw new CannotInspect(
      `Process ${pid} is stopped (SIGSTOP, Ctrl-Z, or a debugger). Continue it first: kill -CONT ${pid}.`,
    );
  const inner = idInContainer(pid);
  if (inner !== undefined)
    throw new CannotInspect(
      `Process ${pid} runs in a container whose ports can't be reached from here. ` +
        `Run this command in the container: npx bough inspect ${inner}.`,
    );
  const runtime = runtimeOf(pid);
  if (runtime === "bun" || runtime === "deno")
    throw new CannotInspect(
      `Process ${pid} runs ${runtime === "bun" ? "Bun" : "Deno"}, which has no inspector that can be started from outside. ${hint}`,
    );
  const command = commandOf(pid);
  if (/(^|[\s\0])--disable-sigusr1([\s\0]|$)/.test(command) || catchesSigusr1(pid) === false) {
    // Without a handler the signal would kill the process.
    throw new CannotInspect(
      /node/i.test(command)
        ? `Process ${pid} does not handle SIGUSR1 (--disable-sigusr1?), so its inspector can't be started. ${hint}`
        : `Process ${pid} is not a Node process (${command.replaceAll("\0", " ").trim().slice(0, 60)}). ${hint}`,
    );
  }
}

/** Whether a process runs. A zombie, which has ended and was not reaped by its parent, does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  // Without /proc a zombie counts as running.
  return !/[XZ]/.test(stateOf(pid) ?? "");
}

/** The state of a process, on Linux: `R`, `S`, `T` (stopped), `Z` (zombie), … */
function stateOf(pid: number): string | undefined {
  try {
    const [, state] = /\) (\S)[^)]*$/.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
    return state;
  } catch {
    return undefined;
  }
}

/** The process id inside the container of the process; `undefined` if it runs in the same container as this process. */
function idInContainer(pid: number): string | undefined {
  try {
    const isSame = (name: string): boolean =>
      readlinkSync(`/proc/${pid}/ns/${name}`) === readlinkSync(`/proc/self/ns/${name}`);
    if (isSame("net") && isSame("pid")) return undefined;
    const [, id] = /^NSpid:.*?(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return id;
  } catch {
    return undefined;
  }
}

function runtimeOf(pid: number): string | undefined {
  try {
    const [, name] = /([^/]+)$/.exec(readlinkSync(`/proc/${pid}/exe`)) ?? [];
    return name;
  } catch {
    const [, name] = /^(?:\S*\/)?(bun|deno|node)(?=[\s\0]|$)/.exec(commandOf(pid)) ?? [];
    return name;
  }
}

/** The command line and `NODE_OPTIONS`, as far as they can be read. */
export function commandOf(pid: number): string {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    const [, options = ""] = /(?:^|\0)NODE_OPTIONS=([^\0]*)/.exec(environmentOf(pid)) ?? [];
    return `${command} ${options}`;
  } catch {
    return ask("ps", ["-p", String(pid), "-o", "command="]);
  }
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8");
  } catch {
    return "";
  }
}

const SIGUSR1 = 10;

/** Whether the process has a handler for SIGUSR1; `undefined` if the system does not say. */
function catchesSigusr1(pid: number): boolean | undefined {
  try {
    const [, mask] = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    if (mask === undefined) return undefined;
    return ((BigInt(`0x${mask}`) >> BigInt(SIGUSR1 - 1)) & 1n) === 1n;
  } catch {
    return undefined;
  }
}

/** The TCP ports on which a process listens. */
export function listeningPorts(pid: number): Set<number> {
  try {
    return portsFromProc(pid);
  } catch {
    const lines = ask("lsof", ["-nP", "-iTCP", "-sTCP:LISTEN", "-a", "-p", String(pid), "-Fn"]);
    return new Set(Array.from(lines.matchAll(/^n.*:(\d+)$/gm), ([, port]) => Number(port)));
  }
}

function portsFromProc(pid: number): Set<number> {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? [];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // Closed meanwhile.
    }
  }
  const ports = new Set<number>();
  for (const family of ["tcp", "tcp6"]) {
    let table: string;
    try {
      table = readFileSync(`/proc/${pid}/net/${family}`, "utf8");
    } catch {
      continue; // no IPv6
    }
    for (const line of table.split("\n").slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === "0A" && inode !== undefined && inodes.has(inode))
        ports.add(Number.parseInt(local?.split(":").at(-1) ?? "", 16));
    }
  }
  return ports;
}

function ask(command: string, parameters: readonly string[]): string {
  try {
    return execFileSync(command, parameters, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return "";
  }
}
