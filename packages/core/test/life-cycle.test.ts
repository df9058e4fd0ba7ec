import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  createContextKey,
  createScope,
  ScopeClosedError,
  spawn,
  withScope,
  type ScopeHandle,
} from "../src/index.js";
import { deferred, flush, outcomeOf, rejection, type Deferred } from "./support/deferred.js";

// The effect of every event in every state of a scope. The first column names the event, the head the state; the words
// of the cells are what the functions below observe.

const table = `
event              | open             | closing, child    | closing, defers    | cancelling        | closed by join   | closed by close  | closed after cancel
-------------------|------------------|-------------------|--------------------|-------------------|------------------|------------------|--------------------
spawn              | starts           | starts            | ScopeClosedError   | born cancelled    | ScopeClosedError | ScopeClosedError | born cancelled
createScope        | starts           | starts            | ScopeClosedError   | born cancelled    | ScopeClosedError | ScopeClosedError | born cancelled
withScope          | starts           | starts            | ScopeClosedError   | born cancelled    | ScopeClosedError | ScopeClosedError | born cancelled
cancel             | true, closed     | true, cancelling  | true, cancelling   | false, cancelling | false, closed    | false, closed    | false, closed
close              | resolved, closed | waits, cancelling | waits, cancelling  | waits, cancelling | resolved, closed | resolved, closed | resolved, closed
dispose            | resolved, closed | waits, cancelling | waits, cancelling  | waits, cancelling | resolved, closed | resolved, closed | resolved, closed
join               | resolved, closed | waits, closing    | waits, closing     | waits, cancelling | resolved, closed | reason, closed   | reason, closed
defer              | runs at the end  | runs at the end   | runs at the end    | runs at the end   | ScopeClosedError | ScopeClosedError | ScopeClosedError
use                | runs at the end  | runs at the end   | runs at the end    | runs at the end   | ScopeClosedError | ScopeClosedError | ScopeClosedError
set                | is set           | is set            | is set             | is set            | ScopeClosedError | ScopeClosedError | ScopeClosedError
get                | has it           | has it            | has it             | has it            | has it           | has it           | has it
onCancel           | on cancel        | on cancel         | on cancel          | at once           | never            | at once          | at once
signal             | not aborted      | not aborted       | not aborted        | aborted           | not aborted      | aborted          | aborted
throwIfCancelled   | returns          | returns           | returns            | throws the reason | returns          | throws the reason | throws the reason
child fails        | cancels          | cancels           | no child           | is recorded       | no child         | no child         | no child
deadline           | cancels          | cancels           | cancels            | nothing           | nothing          | nothing          | nothing
state              | open             | closing           | closing            | cancelling        | closed           | closed           | closed
cancelled          | false            | false             | false              | true              | false            | true             | true
reason             | none             | none              | none               | explicit          | none             | closed           | explicit
errors             | none             | none              | none               | none              | none             | none             | none
`;

const timeout = 1000;
const key = createContextKey<string>("key");

interface Fixture {
  readonly scope: ScopeHandle;
  /** Settles the child that the state comes with. */
  readonly child?: Deferred<void>;
  /** Lets everything that holds the scope open go. */
  readonly release: () => void;
}

function make(): ScopeHandle {
  const scope = createScope({ name: "subject", timeout });
  scope.set(key, "value");
  return scope;
}

/** With a child that does not look at its signal. */
function makeWithChild(): Fixture & { readonly child: Deferred<void> } {
  const scope = make();
  const child = deferred();
  spawn(scope, () => child.promise);
  return { scope, child, release: child.resolve };
}

/** With a child that ends with the reason when it is cancelled. */
function makeWithObedientChild(): ScopeHandle {
  const scope = make();
  spawn(scope, (task) => new Promise((_, reject) => task.onCancel(reject)));
  return scope;
}

const states: Record<string, () => Fixture | Promise<Fixture>> = {
  open: () => ({ scope: make(), release: () => undefined }),
  "closing, child": () => {
    const fixture = makeWithChild();
    fixture.scope.join().catch(() => undefined);
    return fixture;
  },
  "closing, defers": async () => {
    const scope = make();
    const gate = deferred();
    scope.defer(() => gate.promise);
    scope.join().catch(() => undefined);
    await flush();
    return { scope, release: gate.resolve };
  },
  cancelling: () => {
    const fixture = makeWithChild();
    fixture.scope.cancel("first");
    return fixture;
  },
  "closed by join": async () => {
    const scope = make();
    await scope.join();
    return { scope, release: () => undefined };
  },
  "closed by close": async () => {
    const scope = makeWithObedientChild();
    await scope.close();
    return { scope, release: () => undefined };
  },
  "closed after cancel": async () => {
    const scope = makeWithObedientChild();
    scope.cancel("first");
    await flush();
    return { scope, release: () => undefined };
  },
};

/** Whether something began: what `start` returns is the reason it was born with, or `undefined` if it runs. */
async function begun({ scope }: Fixture, start: () => unknown, wasCalled: () => boolean): Promise<string> {
  try {
    const bornWith = await start();
    if (wasCalled()) return bornWith === undefined ? "starts" : "called though cancelled";
    return bornWith !== undefined && bornWith === scope.reason ? "born cancelled" : "not called";
  } catch (error) {
    return wasCalled() ? "called, then thrown" : nameOf(error);
  }
}

function nameOf(error: unknown): string {
  return error instanceof ScopeClosedError ? "ScopeClosedError" : String(error);
}

function attempt(action: () => string): string {
  try {
    return action();
  } catch (error) {
    return nameOf(error);
  }
}

async function waited({ scope }: Fixture, promise: Promise<void>): Promise<string> {
  const outcome = await outcomeOf(promise);
  if (outcome !== "rejected") return `${outcome === "pending" ? "waits" : outcome}, ${scope.state}`;
  return `${(await rejection(promise)) === scope.reason ? "reason" : "error"}, ${scope.state}`;
}

async function runsAtTheEnd(
  { scope, release }: Fixture,
  add: (cleanup: () => void) => void,
): Promise<string> {
  let ran = false;
  const added = attempt(() => {
    add(() => (ran = true));
    return "added";
  });
  if (added !== "added") return added;
  await flush();
  if (ran && scope.state !== "closed" && !scope.cancelled) return "ran too early";
  release();
  await scope.close().catch(() => undefined);
  return ran ? "runs at the end" : "never runs";
}

const events: Record<string, (fixture: Fixture) => string | Promise<string>> = {
  spawn: (fixture) => {
    const worker = vi.fn<() => void>();
    return begun(
      fixture,
      async () => {
        const task = spawn(fixture.scope, worker);
        return worker.mock.calls.length === 0 ? rejection(task) : undefined;
      },
      () => worker.mock.calls.length === 1,
    );
  },
  createScope: (fixture) => {
    let child: ScopeHandle | undefined;
    return begun(
      fixture,
      () => {
        child = createScope(fixture.scope);
        return child.reason;
      },
      () => child?.state === "open",
    );
  },
  withScope: (fixture) => {
    const body = vi.fn<() => void>();
    return begun(
      fixture,
      () => {
        const done = withScope(fixture.scope, body);
        return done.then(
          () => undefined,
          (error: unknown) => {
            if (error instanceof ScopeClosedError) throw error;
            return error;
          },
        );
      },
      () => body.mock.calls.length === 1,
    );
  },
  cancel: async ({ scope }) => {
    const { reason } = scope;
    const did = scope.cancel("second");
    expect(scope.reason === reason).toBe(!did);
    await flush();
    return `${did}, ${scope.state}`;
  },
  close: (fixture) => waited(fixture, fixture.scope.close()),
  dispose: (fixture) => waited(fixture, fixture.scope[Symbol.asyncDispose]()),
  join: (fixture) => waited(fixture, fixture.scope.join()),
  defer: (fixture) => runsAtTheEnd(fixture, (cleanup) => fixture.scope.defer(cleanup)),
  use: (fixture) =>
    runsAtTheEnd(fixture, (cleanup) => fixture.scope.use({ [Symbol.dispose]: () => cleanup() })),
  set: ({ scope }) =>
    attempt(() => {
      scope.set(key, "other");
      return scope.get(key) === "other" ? "is set" : "is lost";
    }),
  get: ({ scope }) => attempt(() => (scope.get(key) === "value" ? "has it" : "has another")),
  onCancel: ({ scope }) => {
    const callback = vi.fn<() => void>();
    scope.onCancel(callback);
    if (callback.mock.calls.length > 0) return "at once";
    scope.cancel();
    return callback.mock.calls.length === 1 ? "on cancel" : "never";
  },
  signal: ({ scope }) => {
    const { signal } = scope;
    if (signal !== scope.signal) return "another object";
    if (!signal.aborted) return "not aborted";
    return signal.reason === scope.reason ? "aborted" : "aborted with another reason";
  },
  throwIfCancelled: ({ scope }) => {
    try {
      scope.throwIfCancelled();
      return "returns";
    } catch (error) {
      return error === scope.reason ? "throws the reason" : String(error);
    }
  },
  "child fails": async ({ scope, child }) => {
    const { reason } = scope;
    const error = new Error("of the child");
    if (child !== undefined) child.reject(error);
    else if (scope.state === "open") spawn(scope, () => Promise.reject(error));
    else return "no child";
    expect(await rejection(scope.join())).toBe(error);
    if (scope.errors.length !== 1 || scope.errors[0] !== error) return "is lost";
    if (reason !== undefined) return scope.reason === reason ? "is recorded" : "replaces the reason";
    return scope.reason?.kind === "failure" && scope.reason.cause === error ? "cancels" : "is ignored";
  },
  deadline: async ({ scope }) => {
    const { reason } = scope;
    vi.advanceTimersByTime(timeout);
    await flush();
    if (scope.reason === reason) return "nothing";
    return scope.reason?.kind === "deadline" ? "cancels" : `becomes ${scope.reason?.kind}`;
  },
  state: ({ scope }) => scope.state,
  cancelled: ({ scope }) => String(scope.cancelled),
  reason: ({ scope }) => scope.reason?.kind ?? "none",
  errors: ({ scope }) => (scope.errors.length === 0 ? "none" : String(scope.errors)),
};

const [head = [], , ...rows] = table
  .trim()
  .split("\n")
  .map((line) => line.split("|").map((cell) => cell.trim()));
const columns = head.slice(1);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
});

afterEach(() => {
  vi.useRealTimers();
});

describe("the life-cycle table", () => {
  it("has a column for every state, a row for every event, and no empty cell", () => {
    expect(columns).toEqual(Object.keys(states));
    expect(rows.map(([event]) => event)).toEqual(Object.keys(events));
    for (const row of rows)
      expect(row.map((cell) => cell !== "")).toEqual([row[0], ...columns].map(() => true));
  });

  it("has a row for every member of a scope handle", () => {
    const plain = ["constructor", "name", "path", "toJSON"];
    const members = Object.getOwnPropertyNames(Object.getPrototypeOf(createScope()) as object);
    const rowOf = (member: string): string => (member === "deadline" ? "deadline" : member);
    expect(members.filter((member) => !plain.includes(member) && !(rowOf(member) in events))).toEqual([]);
  });

  for (const [event = "", ...cells] of rows) {
    for (const [index, expected] of cells.entries()) {
      const state = columns[index] ?? "";
      it(`${event}, ${state}: ${expected}`, async () => {
        const fixture = await (states[state] as () => Fixture | Promise<Fixture>)();
        const happened = await (events[event] as (fixture: Fixture) => string | Promise<string>)(fixture);
        fixture.release();
        await fixture.scope.close().catch(() => undefined);
        expect(happened).toBe(expected);
        expect(vi.getTimerCount()).toBe(0);
      });
    }
  }
});
