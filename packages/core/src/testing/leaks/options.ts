import type { Scope } from "../../kernel/scope.js";
import { optionNames } from "../../errors/option-names.js";
import { wrongType, checkType, requireFiniteDuration, checkOptionsObject } from "../../errors/validate.js";
import { nodeOf } from "../../task/resolve.js";
import { IgnoredLeaks } from "./ignored-leaks.js";
import type { LeakReport } from "./report.js";

/** What is no leak: a name or a path, a pattern of them, a predicate, or what `ignoreCurrent()` returned. */
export type LeakFilter = string | RegExp | ((leak: LeakReport) => boolean) | IgnoredLeaks;

/** What `findLeaks`, `verifyNoLeaks`, `expectNoLeaks` and `checkLeaks` take. */
export interface LeakOptions {
  /** Looks only below this scope, and only for scopes and tasks. It need not be closed itself. */
  readonly scope?: Scope | undefined;
  /** What is no leak. */
  readonly ignore?: LeakFilter | readonly LeakFilter[] | undefined;
  /** Milliseconds from the end of the test in which things may still go away. Default 1,000. */
  readonly timeout?: number | undefined;
  /** Whether timers, sockets and other things that are not bough's count. Default `true`. */
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
