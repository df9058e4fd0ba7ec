import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import * as bough from "../src/index.js";
import { backgroundNode } from "../src/kernel/scope-view.js";
import { liveDescendants } from "../src/kernel/tree.js";
import { flowRows } from "./support/bad-input-flow.js";
import {
  wrongType,
  noFunction,
  noScope,
  noOptions,
  noString,
  noDuration,
  noResource,
  noKey,
  eachOption,
  scopeOptions,
  taskOptions,
  withScopeOptions,
  type Argument,
  type Row,
} from "./support/bad-values.js";
import { flush, outcomeOf } from "./support/deferred.js";
import { scriptFolder, type ScriptFolder } from "./support/run-script.js";

// Every public function with every kind of bad value: the right error, which names the argument and quotes the value,
// and nothing was started.

const { createScope, createContextKey } = bough;

/** By the name of the export; methods by the name of their interface. */
const table: Record<string, Row> = {
  ...flowRows,
  createScope: {
    by: "throw",
    bad: [
      {
        called: "createScope: parent",
        kind: noScope,
        isScope: true,
        call: (value) => createScope(value, {}),
      },
      { called: "createScope: ", kind: noOptions, isScope: true, call: (value) => createScope(value) },
      {
        called: "createScope: options",
        kind: noOptions,
        call: (value, { scope }) => createScope(scope, value),
      },
      ...eachOption<bough.ScopeOptions>("createScope", scopeOptions, (options) => createScope(options)),
      ...eachOption<bough.ScopeOptions>("createScope", scopeOptions, (options, { scope }) =>
        createScope(scope, options),
      ),
    ],
  },
  withScope: {
    by: "rejection",
    bad: [
      { called: "withScope: body", kind: noFunction, call: (value) => bough.withScope(value) },
      { called: "withScope: body", kind: noFunction, call: (value) => bough.withScope({}, value) },
      {
        called: "withScope: body",
        kind: noFunction,
        call: (value, { scope }) => bough.withScope(scope, {}, value),
      },
      {
        called: "withScope: parent",
        kind: noScope,
        isScope: true,
        call: (value, { worker }) => bough.withScope(value, {}, worker),
      },
      {
        called: "withScope: ",
        kind: [...noOptions, ...wrongType(undefined, () => 1)],
        isScope: true,
        call: (value, { worker }) => bough.withScope(value, worker),
      },
      {
        called: "withScope: options",
        kind: noOptions,
        call: (value, { scope, worker }) => bough.withScope(scope, value, worker),
      },
      ...eachOption<bough.ScopeOptions>("withScope", withScopeOptions, (options, { worker }) =>
        bough.withScope(options, worker),
      ),
      ...eachOption<bough.ScopeOptions>("withScope", withScopeOptions, (options, { scope, worker }) =>
        bough.withScope(scope, options, worker),
      ),
    ],
  },
  spawn: {
    by: "throw",
    bad: [
      {
        called: "spawn: scope",
        kind: noScope,
        isScope: true,
        call: (value, { worker }) => bough.spawn(value, worker),
      },
      { called: "spawn: worker", kind: noFunction, call: (value, { scope }) => bough.spawn(scope, value) },
      {
        called: "spawn: options",
        kind: noOptions,
        call: (value, { scope, worker }) => bough.spawn(scope, worker, value),
      },
      ...eachOption<bough.TaskOptions>("spawn", taskOptions, (options, { scope, worker }) =>
        bough.spawn(scope, worker, options),
      ),
    ],
  },
  sleep: {
    by: "rejection",
    bad: [
      { called: "sleep: scope", kind: noScope, isScope: true, call: (value) => bough.sleep(value, 1) },
      {
        called: "sleep: ms",
        kind: [...noDuration, ...wrongType(undefined)],
        call: (value, { scope }) => bough.sleep(scope, value),
      },
    ],
  },
  createContextKey: {
    by: "throw",
    bad: [
      {
        called: "createContextKey: name",
        kind: [...noString, ...wrongType(undefined)],
        call: (value) => createContextKey(value),
      },
    ],
  },
  // These take anything, and throw at nothing: see below.
  isCancelled: {
    by: "throw",
    bad: [
      {
        called: "isCancelled: scope",
        kind: noScope.filter(({ value }) => value !== undefined),
        isScope: true,
        call: (value) => bough.isCancelled(new Error("any"), value),
      },
    ],
  },
  suppressed: { by: "throw", bad: [] },

  "Scope.onCancel": {
    by: "throw",
    bad: [
      { called: "onCancel: callback", kind: noFunction, call: (value, { scope }) => scope.onCancel(value) },
    ],
  },
  "Scope.defer": {
    by: "throw",
    bad: [{ called: "defer: cleanup", kind: noFunction, call: (value, { scope }) => scope.defer(value) }],
  },
  "Scope.use": {
    by: "throw",
    bad: [{ called: "use: resource", kind: noResource, call: (value, { scope }) => scope.use(value) }],
  },
  "Scope.get": {
    by: "throw",
    bad: [{ called: "get: key", kind: noKey, call: (value, { scope }) => scope.get(value) }],
  },
  "Scope.set": {
    by: "throw",
    bad: [{ called: "set: key", kind: noKey, call: (value, { scope }) => scope.set(value, 1) }],
  },
  "ScopeHandle.close": {
    by: "rejection",
    bad: [
      { called: "close: options", kind: noOptions, call: (value, { scope }) => scope.close(value) },
      { called: "close: grace", kind: noDuration, call: (grace, { scope }) => scope.close({ grace }) },
    ],
  },
};

/** How a message may quote a value. */
function quoteOf(value: unknown): RegExp {
  if (value instanceof Date && Number.isNaN(value.getTime())) return /NaN|Invalid Date/;
  if (typeof value === "string") return literally(JSON.stringify(value));
  if (typeof value === "bigint") return literally(`${value}n`);
  if (typeof value === "function") return literally(value.name === "" ? "function" : value.name);
  if (typeof value !== "object" || value === null) return literally(String(value));
  if (Array.isArray(value)) return /array/i;
  const name = value.constructor.name;
  return name === "Object" ? /object/i : literally(name);
}

const literally = (text: string): RegExp =>
  new RegExp(`(^|[^\\w])${text.replace(/[^\w]/g, "\\$&")}($|[^\\w.])`);

const liveScopes = (): number => [...liveDescendants(backgroundNode)].length;

/** Calls, and says what was thrown and how. */
async function failureOf(call: () => unknown): Promise<{ by: Row["by"] | "nothing"; error?: unknown }> {
  let result: unknown;
  try {
    result = call();
  } catch (error) {
    return { by: "throw", error };
  }
  if (!(result instanceof Promise)) return { by: "nothing" };
  try {
    await result;
  } catch (error) {
    return { by: "rejection", error };
  }
  return { by: "nothing" };
}

async function expectRefusal(
  { by }: Row,
  { call, called }: Argument,
  value: unknown,
  verify: (error: Error) => void,
): Promise<void> {
  const scope = createScope({ name: "fixture" });
  const worker = vi.fn<() => void>();
  const timers = vi.getTimerCount();
  const before = liveScopes();
  const failure = await failureOf(() => call(value as never, { scope, worker }));
  expect(failure.by).toBe(by);
  const error = failure.error as Error;
  verify(error);
  expect(error.message.startsWith(called)).toBe(true);
  expect(worker).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(timers);
  expect(liveScopes()).toBe(before);
  expect(scope.state).toBe("open");
  expect(await outcomeOf(scope.join())).toBe("resolved"); // it had no child
}

let scripts: ScriptFolder;
/** Another copy of the package. */
let other: typeof bough;

beforeAll(async () => {
  scripts = await scriptFolder();
  other = (await import(scripts.bundle)) as typeof bough;
});

afterAll(() => scripts.remove());

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
  await flush();
  return () => vi.useRealTimers();
});

/** Functions, as opposed to error classes, which only `instanceof` and the runtime need. */
function functionsOf(module: object): string[] {
  return Object.entries(module)
    .filter(([, value]) => typeof value === "function" && !(value.prototype instanceof Error))
    .map(([name]) => name);
}

describe("the table of bad input", () => {
  it("has a row for every function that the package exports", () => {
    expect(functionsOf(bough).filter((name) => !(name in table))).toEqual([]);
  });

  it("has no row for a function that does not exist", () => {
    const scope = createScope();
    const exists = (name: string): boolean => {
      const [owner = "", method] = name.split(".");
      if (method === undefined) return owner in bough;
      return method in (owner === "SingleFlight" ? bough.createSingleFlight(scope) : scope);
    };
    expect(Object.keys(table).filter((name) => !exists(name))).toEqual([]);
  });
});

/** A word for the value in the title of a test. */
function label(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null)
    return typeof value === "string" ? `"${value}"` : String(value);
  return `${value.constructor.name} ${JSON.stringify(value) ?? ""}`.trim();
}

for (const [name, row] of Object.entries(table).filter(([, { bad }]) => bad.length > 0)) {
  describe(`${name}()`, () => {
    for (const [index, argument] of row.bad.entries()) {
      const title = `${argument.called.trim()} (${index})`;
      for (const { value, error: expected } of argument.kind) {
        it(`${title} = ${label(value)} is a ${expected.name}`, () =>
          expectRefusal(row, argument, value, (error) => {
            expect(error).toBeInstanceOf(expected);
            expect(error.message).toMatch(quoteOf(value));
          }));
      }
    }

    for (const argument of row.bad.filter(({ called }) => called.endsWith("options"))) {
      it(`${argument.called} = a scope is a TypeError`, () =>
        expectRefusal(row, argument, createScope(), (error) => {
          expect(error).toBeInstanceOf(TypeError);
        }));
    }

    for (const [index, argument] of row.bad.filter(({ isScope }) => isScope).entries()) {
      const title = `${argument.called.trim()} (${index})`;
      it(`${title} = a scope of another copy of the package is a BoughError`, async () => {
        const foreign = other.createScope({ name: "foreign" });
        let view!: bough.Scope;
        other.spawn(foreign, (scope) => {
          view = scope;
          return new Promise<never>((_, reject) => scope.onCancel(reject));
        });
        for (const scope of [foreign, view, other.background]) {
          await expectRefusal(row, argument, scope, (error) => {
            expect(error).toBeInstanceOf(bough.BoughError);
            expect((error as bough.BoughError).code).toBe("BOUGH_FOREIGN_SCOPE");
          });
        }
        await foreign.close();
      });
    }
  });
}

describe("the background", () => {
  it("refuses a context value or a cleanup with a BoughError, because it never ends", () => {
    const resource = { [Symbol.dispose]: () => undefined };
    const { background } = bough;
    const key = createContextKey<number>("key");
    for (const call of [
      () => background.defer(() => 1),
      () => background.use(resource),
      () => background.set(key, 1),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: "BOUGH_BACKGROUND" }) as Error);
    }
    expect(background.cancel()).toBe(false);
    expect(background.state).toBe("open");
  });
});

describe("isCancelled() and suppressed()", () => {
  const refuses = (): never => {
    throw new Error("trap");
  };
  const proxy = new Proxy({}, { has: refuses, get: refuses, getPrototypeOf: refuses });
  const anything = [undefined, null, 0, "text", 1n, Symbol("s"), {}, [], () => 1, new Error("no"), proxy];

  it("accept any value", () => {
    for (const value of anything) {
      expect(bough.isCancelled(value)).toBe(false);
      expect(bough.suppressed(value)).toEqual([]);
    }
  });

  it("isCancelled() knows the errors of another copy of the package, and that copy ours", () => {
    const foreign = other.createScope();
    foreign.cancel();
    const scope = createScope({ timeout: 0 });
    expect(foreign.reason).not.toBeInstanceOf(bough.CancelledError);
    expect(bough.isCancelled(foreign.reason)).toBe(true);
    expect(other.isCancelled(scope.reason)).toBe(true);
    expect(other.isCancelled(new DOMException("aborted", "AbortError"))).toBe(false);
  });
});
