import { MAX_DISTANCE } from "./constants.js";
import { quoteList } from "./describe.js";

/** The options of one function, by name. Made by {@link optionNames}. */
export interface OptionNames {
  readonly all: readonly string[];
  readonly has: (name: string) => boolean;
}

/**
 * Lists the options of a function. The type argument makes the compiler require every option, so that no
 * option is refused because it is missing here.
 *
 * Mark a call at the top of a module as `@__PURE__`: then a bundler that drops the function also drops its list.
 *
 * @param has - The same test, faster than a look-up in a set, for a function on a hot path.
 */
export function optionNames<O extends object>(
  names: { readonly [K in keyof Required<O>]: true },
  has?: (name: string) => boolean,
): OptionNames {
  const all = Object.keys(names);
  const set = new Set(all);
  return { all, has: has ?? ((name) => set.has(name)) };
}

/**
 * Refuses an option that the function does not have: a misspelt one, or one of another function. Only own enumerable
 * properties with a string key count, since an instance of a class may have methods. A property that is `undefined` counts
 * as left out, for callers that pass options on.
 *
 * @throws {TypeError} Names the option, the most similar one, and all options of the function.
 */
export function checkOptionNames(operation: string, options: object, names: OptionNames): void {
  for (const name in options) if (!names.has(name)) checkUnknown(operation, options, name, names.all);
}

function checkUnknown(operation: string, options: object, name: string, known: readonly string[]): void {
  const property = Object.getOwnPropertyDescriptor(options, name);
  if (property === undefined || ("value" in property && property.value === undefined)) return;
  const similar = mostSimilar(name, known);
  const hint = similar === undefined ? "" : ` (did you mean ${similar}?)`;
  const names = known.length === 0 ? "it has no options" : `there is ${quoteList(known)}`;
  throw new TypeError(`${operation}: options must not have ${JSON.stringify(name)}${hint}; ${names}`);
}

function mostSimilar(name: string, known: readonly string[]): string | undefined {
  const most = Math.min(MAX_DISTANCE, Math.ceil(name.length / 2));
  for (let changes = 0; changes <= most; changes++) {
    const similar = known.find((each) => canBecome(name.toLowerCase(), each.toLowerCase(), changes));
    if (similar !== undefined) return similar;
  }
  return undefined;
}

/** Whether `a` becomes `b` by that many letters replaced, removed and added. */
function canBecome(a: string, b: string, changes: number): boolean {
  let same = 0;
  while (same < a.length && a[same] === b[same]) same += 1;
  const [from, to] = [a.slice(same), b.slice(same)];
  if (changes === 0) return from === to;
  return (
    canBecome(from.slice(1), to.slice(1), changes - 1) ||
    canBecome(from.slice(1), to, changes - 1) ||
    canBecome(from, to.slice(1), changes - 1)
  );
}
