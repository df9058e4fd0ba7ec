import { createHook, type AsyncHook } from "node:async_hooks";
import { ScopeNode } from "../../kernel/node.js";
import { setTimerWatcher } from "../../kernel/long-timer.js";
import { setTracing } from "../../kernel/call-site.js";
import { now } from "../clock/real-time.js";
import { currentTestRun, watchScopes, type TestRun } from "./test-run.js";
import { captureStack, readStack, type Origin, type RawStack } from "./stack.js";

/** A resource of Node that may keep the process alive: a handle, a timer, a request. */
export interface Recorded {
  readonly type: string;
  /** Weak: a resource that holds the process is alive by itself, and the check must not keep the others alive. */
  readonly resource: WeakRef<object>;
  readonly testRun: TestRun | undefined;
  readonly origin: Origin;
  /** By {@link now}. */
  readonly since: number;
}

interface Tick {
  readonly testRun: TestRun | undefined;
  readonly trigger: number;
  readonly stack: RawStack;
}

/** Frequent types that neither keep the process alive nor lead to a resource that does. */
const ignoredTypes = new Set(["PROMISE", "Microtask", "WRITEWRAP", "SHUTDOWNWRAP"]);
/** Resources without `hasRef` that hold the process while they are pending. */
const request = /^(?:FSREQ.*|.*REQWRAP|.*CONNECTWRAP|QUERYWRAP|.*REQUEST|.*JOB)$/;
/** How many triggers to follow in search of a frame outside of Node. */
const MAX_STEPS = 10;

const recorded = new Map<number, Recorded>();
/** The stacks of short-lived resources. One is read if the resource creates a lasting one. */
const tickStacks = new Map<number, Tick>();
let hook: AsyncHook | undefined;
let users = 0;
let tracedBefore = false;

/** The scopes of bough's own timers. A timer keeps its node alive as it is, and a node reaches no handle. */
const timerOwners = new WeakMap<object, ScopeNode>();

function noteOwner(timer: unknown, owner: object): void {
  if (typeof timer === "object" && timer !== null && owner instanceof ScopeNode)
    timerOwners.set(timer, owner);
}

/** The scope that one of bough's own timers belongs to; `undefined` of others, and of housekeeping without a scope. */
export function scopeOfTimer(timer: object): ScopeNode | undefined {
  return timerOwners.get(timer);
}

/** The resources that were created since the recording began and are not destroyed. */
export function recordedResources(): Iterable<Recorded> {
  return recorded.values();
}

/**
 * Records, from now on, where scopes are spawned and where timers, sockets, servers, child processes, threads and
 * the like are created, so that leak reports can say so. `expectNoLeaks` and `bough/vitest` call it; call it
 * yourself, first thing, where you use `findLeaks` or `verifyNoLeaks` alone.
 *
 * It costs a stack trace for each of them, and on Node 20 and 22 something for each promise: meant for tests.
 *
 * @returns A function that ends this call's recording. It stops when all calls have ended theirs.
 * @example
 * ```ts
 * const stop = recordOrigins();
 * const timer = setInterval(() => {}, 1_000);
 * const [leak] = await findLeaks({ timeout: 0 });
 * console.log(leak?.name, leak?.spawnedAt); // interval of 1000 ms, and this line
 * clearInterval(timer);
 * stop();
 * ```
 */
export function recordOrigins(): () => void {
  if (users++ === 0) start();
  let stopped = false;
  return () => {
    if (stopped) return;
    stopped = true;
    if (--users === 0) stop();
  };
}

function start(): void {
  watchScopes();
  setTimerWatcher(noteOwner);
  tracedBefore = setTracing(true);
  // Newer Nodes can leave promises out, which saves most of the cost; older ones ignore the option.
  const options = { init, destroy, trackPromises: false };
  hook ??= createHook(options);
  hook.enable();
}

function stop(): void {
  hook?.disable();
  setTimerWatcher(undefined);
  setTracing(tracedBefore);
  recorded.clear();
  tickStacks.clear();
}

function init(id: number, type: string, trigger: number, resource: object): void {
  if (ignoredTypes.has(type)) return;
  const testRun = currentTestRun() ?? (recorded.get(trigger) ?? tickStacks.get(trigger))?.testRun;
  if (type === "TickObject") {
    tickStacks.set(id, { testRun, trigger, stack: captureStack(init) });
  } else if (request.test(type) || typeof (resource as { hasRef?: unknown }).hasRef === "function") {
    const origin = originOf(captureStack(init), trigger);
    recorded.set(id, { type, resource: new WeakRef(resource), testRun, origin, since: now() });
  }
}

/**
 * The origin of the resource with this stack. A resource that Node makes by itself has the origin of the resource
 * that triggered it. Examples are the socket of an accepted connection, and a server a tick after `listen`.
 */
function originOf(stack: RawStack, trigger: number): Origin {
  const { frames, internal } = readStack(stack);
  let at = trigger;
  for (let step = 0; frames.length === 0 && step < MAX_STEPS; step++) {
    const known = recorded.get(at)?.origin.frames;
    if (known !== undefined) return { frames: known, internal };
    const tick = tickStacks.get(at);
    if (tick === undefined) break;
    frames.push(...readStack(tick.stack).frames);
    at = tick.trigger;
  }
  return { frames, internal };
}

function destroy(id: number): void {
  recorded.delete(id);
  tickStacks.delete(id);
}
