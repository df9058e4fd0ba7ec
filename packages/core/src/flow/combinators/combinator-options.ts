import { optionNames, type OptionNames } from "../../errors/option-names.js";
import { checkDuration, checkOptionsObject, checkType } from "../../errors/validate.js";

/**
 * The options of {@link all}, `allSettled`, `any` and `race`. `map`, `stream` and `retry` take them too, in addition
 * to their own.
 */
export interface CombinatorOptions {
  /** The name of the scope in which the workers run. Default: the name of the function, such as `"all"`. */
  readonly name?: string | undefined;
  /**
   * Milliseconds that the whole call may take. When they have passed, everything in it is cancelled, and it rejects with a
   * `DeadlineExceededError`. 0 starts nothing. Default: no limit.
   */
  readonly timeout?: number | undefined;
}

/** For {@link optionNames} of a function whose options extend {@link CombinatorOptions}. */
export const combinatorNames = { name: true, timeout: true } as const;

export const combinatorOptionNames: OptionNames =
  /* @__PURE__ */ optionNames<CombinatorOptions>(combinatorNames);

/** Checks the object, its names, and the options that all combinators have. */
export function checkCombinatorOptions(
  operation: string,
  options: CombinatorOptions,
  names: OptionNames = combinatorOptionNames,
  example?: string,
): void {
  checkOptionsObject(operation, options, names, example);
  checkType(operation, "name", "string", options.name);
  checkDuration(operation, "timeout", options.timeout);
}
