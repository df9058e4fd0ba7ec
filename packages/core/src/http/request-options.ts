import { optionNames, type OptionNames } from "../errors/option-names.js";
import { checkDuration, checkOptionsObject, checkType } from "../errors/validate.js";
import type { ScopeOptions } from "../task/options.js";

// The options of a request's scope, for every kind of server. The file knows no objects of Node.

/** The options of `requestScope`. */
export interface RequestScopeOptions {
  /**
   * The name of the scope. Used by the call that makes the scope. Default: the route if the framework knows it, otherwise
   * method and path, without the query, which may hold secrets.
   */
  readonly name?: string | undefined;
  /** Milliseconds from now. If several calls give one, the earliest deadline counts. Default: that of the server. */
  readonly timeout?: number | undefined;
  /** Says which further errors are cancellations, as in `ScopeOptions`. The first that was given counts. Default: none. */
  readonly isCancellation?: ScopeOptions["isCancellation"];
}

const requestScopeOptionNames = optionNames<RequestScopeOptions>({
  name: true,
  timeout: true,
  isCancellation: true,
});

/** @throws {TypeError | RangeError} If an option is unknown, of the wrong type or out of range. */
export function checkRequestOptions(
  operation: string,
  options: RequestScopeOptions,
  names: OptionNames = requestScopeOptionNames,
): void {
  checkOptionsObject(operation, options, names);
  checkDuration(operation, "timeout", options.timeout);
  checkType(operation, "name", "string", options.name);
  checkType(operation, "isCancellation", "function", options.isCancellation);
}
