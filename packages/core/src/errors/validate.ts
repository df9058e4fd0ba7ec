import { scopeBrand } from "./brands.js";
import { describe } from "./describe.js";
import { isObjectLike, isThenable } from "./user-values.js";
import { checkOptionNames, type OptionNames } from "./option-names.js";

// Every public function checks its arguments with these before it starts anything. A message names the function and
// the argument, states the rule for the argument, and quotes the value: `sleep: ms must be a number, got "1"`.
//
// `require…` refuses `undefined`; `check…` accepts it, for an option that was left out.

/**
 * The error for an argument of the wrong type.
 *
 * @param requirement - Begins with the name of the argument: `ms must be a number`.
 * @param hint - Follows the value: ` (a missing await?)`.
 */
export function wrongType(operation: string, requirement: string, value: unknown, hint = ""): TypeError {
  return new TypeError(`${operation}: ${requirement}, got ${describe(value)}${hint}`);
}

/** The error for an argument of the right type whose value can't be used. Has the parameters of {@link wrongType}. */
export function outOfRange(operation: string, requirement: string, value: unknown, hint = ""): RangeError {
  return new RangeError(`${operation}: ${requirement}, got ${describe(value)}${hint}`);
}

type TypeName = "string" | "number" | "boolean" | "function";

export function requireType(operation: string, name: string, type: TypeName, value: unknown): void {
  if (typeof value !== type) throw wrongType(operation, `${name} must be a ${type}`, value);
}

export function checkType(operation: string, name: string, type: TypeName, value: unknown): void {
  if (value !== undefined) requireType(operation, name, type, value);
}

export function requireFunction(
  operation: string,
  name: string,
  value: unknown,
): asserts value is (...args: never[]) => unknown {
  // Does not call `requireType`: a comparison with a constant is faster until the engine has optimised this function.
  if (typeof value !== "function") throw wrongType(operation, `${name} must be a function`, value);
}

/** Requires a duration in ms: not negative, not NaN; `Infinity` means no limit. */
export function requireDuration(operation: string, name: string, value: unknown): void {
  requireType(operation, name, "number", value);
  if ((value as number) >= 0) return;
  throw outOfRange(operation, `${name} must be a number of ms that is not negative`, value);
}

export function checkDuration(operation: string, name: string, value: unknown): void {
  if (value !== undefined) requireDuration(operation, name, value);
}

/**
 * Requires a finite duration.
 *
 * @param why - Follows the value in the message for `Infinity`.
 */
export function requireFiniteDuration(operation: string, name: string, value: unknown, why = ""): void {
  requireDuration(operation, name, value);
  if (value === Infinity) throw outOfRange(operation, `${name} must be finite`, value, why);
}

/** Requires a whole number from `least`. */
export function requireCount(operation: string, name: string, value: unknown, least: number): void {
  requireType(operation, name, "number", value);
  if (Number.isInteger(value) && (value as number) >= least) return;
  throw outOfRange(operation, `${name} must be a whole number from ${least}`, value);
}

/** Checks a limit: a whole number from `least`, or `Infinity` for none. */
export function checkLimit(operation: string, name: string, value: unknown, least: number): void {
  if (value === undefined || value === Infinity) return;
  requireType(operation, name, "number", value);
  if (Number.isInteger(value) && (value as number) >= least) return;
  throw outOfRange(operation, `${name} must be a whole number from ${least} or Infinity`, value);
}

/** Checks an instant: a valid `Date`, or epoch ms that are not negative. */
export function checkInstant(operation: string, name: string, value: unknown): void {
  if (value === undefined) return;
  const instant = value instanceof Date ? value.getTime() : value;
  if (typeof instant !== "number")
    throw wrongType(operation, `${name} must be a Date or a number of epoch ms`, value);
  if (!(instant >= 0)) throw outOfRange(operation, `${name} must be a valid instant in epoch ms`, instant);
}

/**
 * Checks that `options` is an object with only the options in `names`. Refuses objects that are often passed in its place
 * by mistake: a scope, a signal, a promise, an array.
 *
 * @param example - Shown in the message.
 */
export function checkOptionsObject(
  operation: string,
  options: unknown,
  names: OptionNames,
  example = "{ timeout: 1000 }",
): asserts options is object {
  if (
    isObjectLike(options) &&
    !(scopeBrand in options || "aborted" in options || Array.isArray(options) || isThenable(options))
  )
    return checkOptionNames(operation, options, names);
  throw wrongType(operation, `options must be an object such as ${example}`, options);
}

const noOptions: OptionNames = { all: [], has: () => false };

/**
 * Refuses options in a call of a function that has none. Other superfluous arguments are ignored, as is usual in
 * JavaScript: `forEach` passes an index and an array.
 *
 * @param extra - The argument after the last one that the function has.
 */
export function refuseOptions(operation: string, extra: unknown): void {
  if (isObjectLike(extra) && !Array.isArray(extra)) checkOptionNames(operation, extra, noOptions);
}
