import { now } from "../clock/real-time.js";
import { describeResource, ownerOf } from "./describe-resource.js";
import { isIgnored, type HeldResource } from "./built-in-ignores.js";
import { countsFor, type TestRun } from "./test-run.js";
import { recordedResources, scopeOfTimer, type Recorded } from "./recorder.js";
import type { LeakReport } from "./report.js";
import { siteOf } from "./stack.js";

/** A leak with the key by which `ignoreCurrent` knows it. */
export interface Found {
  readonly report: LeakReport;
  /** The object itself; `undefined` for a timer that is only known by its number. */
  readonly identity: object | undefined;
}

interface ActiveProcess {
  readonly _getActiveHandles?: () => readonly object[];
  readonly _getActiveRequests?: () => readonly object[];
  readonly getActiveResourcesInfo?: () => readonly string[];
}

const active = process as unknown as ActiveProcess;

/**
 * The resources that keep the process alive and belong to `testRun`. Without a test run also those that were made before the
 * recording began: Node still lists them, but does not know where or when they were made.
 */
export function heldResources(testRun: TestRun | undefined): Found[] {
  const held = recordedThatHold();
  const found: Found[] = [];
  for (const { recorded, resource } of held) {
    if (!countsFor(testRun, recorded.testRun)) continue;
    const facts: HeldResource = { type: recorded.type, resource, origin: recorded.origin };
    if (
      isIgnored(
        facts,
        held.map((other) => other.recorded),
      )
    )
      continue;
    found.push({ identity: ownerOf(resource), report: reportRecorded(recorded, resource) });
  }
  if (testRun === undefined) found.push(...unrecorded(held));
  return found;
}

interface Held {
  readonly recorded: Recorded;
  readonly resource: object;
}

function recordedThatHold(): Held[] {
  const requests = new Set(active._getActiveRequests?.());
  const held: Held[] = [];
  for (const recorded of recordedResources()) {
    const resource = recorded.resource.deref();
    if (resource !== undefined && holds(resource, requests)) held.push({ recorded, resource });
  }
  return held;
}

/** Whether a resource keeps the process alive now. */
export function holds(resource: object, requests: ReadonlySet<object>): boolean {
  const { hasRef, _destroyed } = resource as { hasRef?: () => boolean; _destroyed?: boolean };
  // Node reports the end of a timer one turn late.
  if (_destroyed === true) return false;
  if (typeof hasRef === "function") return Reflect.apply(hasRef, resource, []) === true;
  return requests.has(resource);
}

export function reportRecorded({ type, origin, since }: Recorded, resource: object): LeakReport {
  const { name, details: facts } = describeResource(type, resource);
  const scope = scopeOfTimer(resource);
  const details = scope === undefined ? facts : `of the scope ${scope.path}, which has ended`;
  const site = siteOf(origin.frames);
  return {
    kind: "resource",
    type,
    name,
    path: details === "" ? name : `${name} ${details}`,
    status: "active",
    age: Math.round(now() - since),
    ...(site === undefined ? {} : { spawnedAt: site, stack: origin.frames }),
  };
}

function unrecorded(held: readonly Held[]): Found[] {
  const found = otherHandles(held.map(({ resource }) => resource));
  // Timers are in no list of handles; Node only says how many there are.
  for (const type of ["Timeout", "Immediate"]) {
    const all = (active.getActiveResourcesInfo?.() ?? []).filter((each) => each === type).length;
    const here = held.filter(({ recorded }) => recorded.type === type).length;
    for (let count = here; count < all; count++)
      found.push({ identity: undefined, report: reportUnrecorded(type) });
  }
  return found;
}

/** The handles that hold the process and are not in `resources`. */
export function otherHandles(resources: Iterable<object>): Found[] {
  const known = new Set<object>();
  for (const resource of resources) known.add(resource).add(ownerOf(resource));
  const found: Found[] = [];
  for (const object of active._getActiveHandles?.() ?? []) {
    if (known.has(object)) continue;
    const type = typeOf(object);
    if (isIgnored({ type, resource: object, origin: undefined }, [])) continue;
    found.push({ identity: object, report: reportUnrecorded(type, object) });
  }
  return found;
}

function reportUnrecorded(type: string, object?: object): LeakReport {
  const { name, details } = describeResource(type, object);
  const path = details === "" ? name : `${name} ${details}`;
  return {
    kind: "resource",
    type,
    name,
    path,
    status: "active",
  };
}

/** The nearest type of {@link describeResource} for a public object. */
function typeOf(object: object): string {
  const { constructor } = object;
  const facts = object as Readonly<Record<string, unknown>>;
  if ("spawnargs" in facts) return "PROCESSWRAP";
  if ("maxConnections" in facts || typeof facts["getConnections"] === "function") return "TCPSERVERWRAP";
  if ("remoteAddress" in facts) return facts["remoteAddress"] === undefined ? "PIPEWRAP" : "TCPWRAP";
  if (typeof facts["setMulticastTTL"] === "function") return "UDPWRAP";
  return typeof constructor === "function" ? constructor.name : "object";
}
