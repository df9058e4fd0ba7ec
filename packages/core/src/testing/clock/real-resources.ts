import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { now } from "./real-time.js";
import { isIgnored, type HeldResource } from "../leaks/built-in-ignores.js";
import type { Recorded } from "../leaks/recorder.js";
import type { LeakReport } from "../leaks/report.js";
import { holds, otherHandles, reportRecorded } from "../leaks/resources.js";
import { captureStack, isBoughFrame, isInternal, isRunnerFrame, readFrames, siteOf } from "../leaks/stack.js";

/** The resources that code may wait for, by their names in `async_hooks`. Write requests end with their handle. */
const listed: ReadonlySet<string> = new Set([
  "Timeout",
  "TCPSERVERWRAP",
  "TCPWRAP",
  "TCPCONNECTWRAP",
  "PIPESERVERWRAP",
  "PIPEWRAP",
  "PIPECONNECTWRAP",
  "UDPWRAP",
  "QUERYWRAP",
  "FSEVENTWRAP",
  "STATWATCHER",
  "PROCESSWRAP",
  "WORKER",
  "MESSAGEPORT",
  "FSREQCALLBACK",
  "FSREQPROMISE",
  "GETADDRINFOREQWRAP",
  "GETNAMEINFOREQWRAP",
]);

const MESSAGE_TIMEOUT = "a time-out of a socket or an HTTP message";

/** The diagnostics channel of `node:http` for requests that are being sent. */
const REQUEST_START = "http.client.request.start";

interface HttpRequest {
  readonly timeout?: number;
  readonly agent?: { readonly options?: { readonly timeout?: number } };
}

/** A timer that keeps real time under a virtual clock, and its owner. */
export interface RealTimer {
  /** `the timeout of a child process`. */
  readonly what: string;
  readonly site: string | undefined;
}

/** The real resources that were made while a virtual clock is installed, so that an error can name them. */
export class RealResources {
  readonly #known = new Map<number, Recorded>();
  /** Called for each new timer that does not follow the clock and is not bough's. */
  onRealTimer: ((timer: RealTimer) => void) | undefined = undefined;

  /** Begins to notice the time-outs of HTTP requests: Node sets their timers later, and others by itself. */
  start(): void {
    // eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- what captureStackTrace takes
    const notify = (above: Function): void => {
      const users = readFrames(captureStack(above)).filter((frame) => !isInternal(frame));
      this.onRealTimer?.({ what: MESSAGE_TIMEOUT, site: siteOf(users) });
    };
    const onRequest = (message: unknown): void => {
      const { timeout = 0, agent } = (message as { request: HttpRequest }).request;
      if (timeout !== 0 && timeout !== agent?.options?.timeout) notify(onRequest);
    };
    subscribe(REQUEST_START, onRequest);
    const { prototype } = process.getBuiltinModule("node:http").ClientRequest;
    const original = Reflect.get(prototype, "setTimeout") as (this: unknown, ...given: unknown[]) => unknown;
    const wrapped = function (this: unknown, ...given: unknown[]): unknown {
      if (given[0] !== 0) notify(wrapped);
      return Reflect.apply(original, this, given);
    };
    Object.assign(prototype, { setTimeout: wrapped });
    this.stop = () => {
      unsubscribe(REQUEST_START, onRequest);
      if (Reflect.get(prototype, "setTimeout") === wrapped)
        Object.assign(prototype, { setTimeout: original });
    };
  }

  stop: () => void = () => undefined;

  // eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- what captureStackTrace takes
  add(id: number, type: string, resource: object, above: Function): void {
    if (!listed.has(type)) return;
    const frames = readFrames(captureStack(above));
    const users = frames.filter((frame) => !isInternal(frame));
    const recorded: Recorded = {
      type,
      resource: new WeakRef(resource),
      testRun: undefined,
      origin: { frames: users, internal: [] },
      since: now(),
    };
    if (type !== "Timeout") return void this.#known.set(id, recorded);
    const [first] = users;
    if (first !== undefined && (isRunnerFrame(first) || isBoughFrame(first))) return;
    const what = describeTimerOwner(frames);
    if (what === undefined) return;
    this.#known.set(id, recorded);
    this.onRealTimer?.({ what, site: siteOf(users) });
  }

  delete(id: number): void {
    this.#known.delete(id);
  }

  /** The resources that have not ended: the resources that were created since, and the handles that existed before. */
  pending(): LeakReport[] {
    const requests = new Set((process as unknown as Requests)._getActiveRequests?.());
    const held: (HeldResource & { readonly recorded: Recorded })[] = [];
    for (const recorded of this.#known.values()) {
      const resource = recorded.resource.deref();
      if (resource === undefined || !isPending(recorded.type, resource, requests)) continue;
      held.push({ type: recorded.type, resource, origin: recorded.origin, recorded });
    }
    const named = held.filter((each) => !isIgnored(each, held));
    const reports = named.map(({ recorded, resource }) => reportRecorded(recorded, resource));
    const objects = held.map(({ resource }) => resource);
    for (const { report } of otherHandles(objects)) {
      // The channel of a test runner's thread.
      if (report.type !== "MessagePort") reports.push(report);
    }
    return reports;
  }
}

interface Requests {
  readonly _getActiveRequests?: () => readonly object[];
}

function isPending(type: string, object: object, requests: ReadonlySet<object>): boolean {
  // A timer that is unref()ed fires all the same, and an idle time-out is one.
  if (type === "Timeout") return (object as { _destroyed?: boolean })._destroyed !== true;
  return holds(object, requests);
}

/** Describes the owner of a real timer, by Node's frames between the user's code and the constructor. */
function describeTimerOwner(frames: readonly string[]): string | undefined {
  const outer = frames.findIndex((frame) => !isInternal(frame));
  const internal = outer < 0 ? frames : frames.slice(0, outer);
  const asked = outer < 0 ? "" : (internal.at(-1) ?? "");
  const has = (part: string): boolean => internal.some((frame) => frame.includes(part));
  if (has("node:child_process")) return "the timeout of a child process";
  if (has("node:timers/promises"))
    return "a timer of node:timers/promises or util.promisify(setTimeout) that was taken before the clock was installed";
  if (
    /\bset(?:Stream|Socket)?Timeout\b.*node:(?:internal\/(?:stream_base_commons|http2)|net|_http)/.test(asked)
  )
    return MESSAGE_TIMEOUT;
  if (has("connectionListenerInternal")) return "the time-out of an HTTP server's connections";
  if (has("setWeakAbortSignalTimeout"))
    return "an AbortSignal.timeout that was taken before the clock was installed";
  const kept = /\b(set(?:Timeout|Interval))\b.*\(node:timers:/.exec(asked)?.[1];
  if (kept !== undefined) return `a ${kept} that was taken before the clock was installed`;
  return undefined;
}
