import type { Scope } from "../../kernel/scope.js";
import { optionNames } from "../../errors/option-names.js";
import { wrongType, checkType, requireFiniteDuration, checkOptionsObject } from "../../errors/validate.js";
import { nodeOf } from "../../task/node-of.js";
import { IgnoredLeaks } from "./ignored-leaks.js";
import type { LeakReport } from "./report.js";

/** Leaks to ignore: a name or a path, a pattern of them, a predicate, or the result of `ignoreCurrent()`. */
export type LeakFilter = string | RegExp | ((leak: LeakReport) => boolean) | IgnoredLeaks;

/** The options of `findLeaks`, `verifyNoLeaks`, `expectNoLeaks` and `checkLeaks`. */
export interface LeakOptions {
  /** Looks only below this scope, and only for scopes and tasks. The scope itself may be open. Default: everywhere. */
  readonly scope?: Scope | undefined;
  /** The leaks to ignore. Default: none but the built-in ones. */
  readonly ignore?: LeakFilter | readonly LeakFilter[] | undefined;
  /** How long after the end of the test leaks may still disappear, in milliseconds. Default 1,000. */
  readonly timeout?: number | undefined;
  /** Whether timers, sockets and other resources that are not bough's count. Default `true`. */
  readonly resources?: boolean | undefined;
}

const leakOptionNames = optionNames<LeakOptions>({
  scope: true,
  ignore: true,
  timeout: true,
  resources: true,
});

export const DEFAULT_TIMEOUT = 1_000;

/** Checks all options before anything is started. */
export function checkLeakOptions(operation: string, options: LeakOptions | undefined): void {
  if (options === undefined) return;
  checkOptionsObject(operation, options, leakOptionNames);
  const { scope, timeout, resources } = options;
  if (scope !== undefined) nodeOf(operation, "scope", scope);
  if (timeout !== undefined) requireFiniteDuration(operation, "timeout", timeout);
  checkType(operation, "resources", "boolean", resources);
  for (const filter of filtersOf(options)) checkFilter(operation, filter);
}

export function filtersOf({ ignore = [] }: LeakOptions): readonly LeakFilter[] {
  return Array.isArray(ignore) ? (ignore as readonly LeakFilter[]) : [ignore as LeakFilter];
}

function checkFilter(operation: string, filter: unknown): void {
  if (typeof filter === "string" || typeof filter === "function") return;
  if (filter instanceof RegExp || filter instanceof IgnoredLeaks) return;
  throw wrongType(operation, "ignore must be a name, a RegExp, a function or ignoreCurrent()", filter);
}
