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

/** How many letters of a misspelt option may be wrong, missing, superfluous or exchanged. */
const MAX_DISTANCE = 3;

function mostSimilar(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.min(MAX_DISTANCE, Math.ceil(name.length / 2)) + 1;
  for (const each of known) {
    const distance = distanceBetween(name.slice(0, 40).toLowerCase(), each.toLowerCase());
    if (distance < least) [best, least] = [each, distance];
  }
  return best;
}

/** The Levenshtein distance. */
function distanceBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
