import { optionNames, type OptionNames } from "../errors/option-names.js";
import { checkType, wrongType } from "../errors/validate.js";
import type { ScopeNode } from "../kernel/node.js";
import { setHoldsProcess } from "../kernel/process-hold.js";
import { checkOptions, isWithScopeOption, withScopeNames, type ScopeOptions } from "./options.js";

const scopeOptionNames: OptionNames = /* @__PURE__ */ optionNames<ScopeOptions>(
  { ...withScopeNames, onOrphan: true, holdsProcess: true },
  (name) => isWithScopeOption(name) || name === "onOrphan" || name === "holdsProcess",
);

/** Checks all options of a function that returns an owner handle, before anything is started. */
export function checkScopeOptions(operation: string, options: ScopeOptions | undefined): void {
  checkOptions(operation, options, scopeOptionNames);
  checkOnOrphan(operation, options?.onOrphan);
  checkType(operation, "holdsProcess", "boolean", options?.holdsProcess);
}

/** Applies the option that only scopes with an owner handle have. Before `linkChild`, which may set timers. */
export function applyHoldsProcess(node: ScopeNode, options: ScopeOptions | undefined): void {
  if (options?.holdsProcess !== undefined) setHoldsProcess(node, options.holdsProcess);
}

function checkOnOrphan(operation: string, value: unknown): void {
  if (value === undefined || value === "warn" || value === "ignore" || typeof value === "function") return;
  throw wrongType(operation, 'onOrphan must be "warn", "ignore" or a function', value);
}
