import { createContextKey, type ScopeHandle, type ScopeOptions, type TaskOptions } from "../../src/index.js";

type ErrorClass = typeof TypeError | typeof RangeError;

/** A kind of argument: what is bad about it. */
export type Kind = readonly { readonly value: unknown; readonly error: ErrorClass }[];

export const wrongType = (...values: unknown[]): Kind => values.map((value) => ({ value, error: TypeError }));
export const outOfRange = (...values: unknown[]): Kind =>
  values.map((value) => ({ value, error: RangeError }));

export const noFunction = wrongType(undefined, null, "text", 1, {}, [], Promise.resolve());
const scopeLike = {
  signal: new AbortController().signal,
  cancelled: false,
  onCancel: () => () => true,
};
export const noScope = wrongType(undefined, null, "text", 1, {}, [], scopeLike, () => 1, Promise.resolve());
/** Not `undefined`: that is no options. */
export const noOptions = wrongType(
  null,
  "text",
  1,
  true,
  [],
  Symbol("s"),
  Promise.resolve(),
  new AbortController().signal,
);
export const noString = wrongType(null, 1, {}, [], Symbol("s"), () => 1);
export const noBoolean = wrongType(null, 1, "yes", {}, 0);
export const noNumber = wrongType(null, "5", {}, [], 5n, true, Symbol("s"), new Date(0));
export const noDuration: Kind = [...noNumber, ...outOfRange(-1, -0.5, NaN, -Infinity)];
export const noInstant: Kind = [
  ...wrongType(null, "2030-01-01", {}, [], 5n, true, Symbol("s")),
  ...outOfRange(-1, NaN, -Infinity, new Date(NaN)),
];
export const noLimit: Kind = [...noNumber, ...outOfRange(0, -1, 1.5, NaN, -Infinity)];
const noSignal = wrongType(
  null,
  "text",
  1,
  {},
  [],
  { aborted: false },
  new AbortController(),
  new EventTarget(),
);
const noOrphanPolicy = wrongType(null, "explode", 1, true, {}, []);
export const noResource = wrongType(
  undefined,
  null,
  "text",
  1,
  {},
  [],
  { [Symbol.dispose]: "text" },
  () => 1,
);
export const noKey = wrongType(undefined, null, "text", 1, {}, [], { name: "key" }, createContextKey);

/** Some bad argument of a function: its name, what is bad, and a call with it. */
export interface Argument {
  /** The beginning of the message, such as `spawn: worker`. */
  readonly called: string;
  readonly kind: Kind;
  readonly call: (value: never, fixture: Fixture) => unknown;
  /** Set where the argument is a scope: one of another copy of the package is refused there. */
  readonly isScope?: boolean;
}

export interface Fixture {
  /** A scope without a child. */
  readonly scope: ScopeHandle;
  /** Must not be called. */
  readonly worker: () => void;
}

/** One argument for each option. */
export function eachOption<O extends object>(
  operation: string,
  options: Readonly<Record<string, Kind>>,
  call: (options: O, fixture: Fixture) => unknown,
): Argument[] {
  return Object.entries(options).map(([name, kind]) => ({
    called: `${operation}: ${name}`,
    kind,
    call: (value, fixture) => call({ [name]: value } as O, fixture),
  }));
}

export interface Row {
  /** How the error comes: a function that returns a promise never throws. */
  readonly by: "throw" | "rejection";
  readonly bad: readonly Argument[];
}

export const scopeOptions = {
  name: noString,
  signal: noSignal,
  timeout: noDuration,
  deadline: noInstant,
  supervise: noBoolean,
  concurrency: noLimit,
  grace: noDuration,
  onError: noFunction.filter(({ value }) => value !== undefined),
  isCancellation: noFunction.filter(({ value }) => value !== undefined),
  onOrphan: noOrphanPolicy,
  holdsProcess: noBoolean,
} satisfies Record<keyof ScopeOptions, Kind>;

const { onOrphan: _, holdsProcess: __, ...rest } = scopeOptions;
export const withScopeOptions: typeof rest = rest;

export const taskOptions = { ...rest, daemon: noBoolean } satisfies Record<keyof TaskOptions, Kind>;
