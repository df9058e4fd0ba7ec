import { quoteList } from "./describe.js";

/** The options of one function, by name. Made by {@link optionNames}. */
export interface OptionNames {
  readonly all: readonly string[];
  readonly has: (name: string) => boolean;
}

/**
 * Lists the options of a function. The type argument makes the compiler demand every one of them, so that a new option
 * is not refused.
 *
 * @param has - Says the same, faster than looking it up in a set, for functions where that counts.
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
 * Refuses an option that means nothing for the function: misspelt, or another function's. Only what the object itself
 * has, enumerable and under a string, counts: an instance of a class may have methods. One that is `undefined` is as good
 * as left out, for those who pass on the options that they were given.
 *
 * @throws {TypeError} Names the option and those that there are.
 */
export function checkOptionNames(operation: string, options: object, names: OptionNames): void {
  for (const name in options) if (!names.has(name)) checkUnknown(operation, options, name, names.all);
}

function checkUnknown(operation: string, options: object, name: string, known: readonly string[]): void {
  const property = Object.getOwnPropertyDescriptor(options, name);
  if (property === undefined || ("value" in property && property.value === undefined)) return;
  const similar = mostSimilar(name, known);
  const hint = similar === undefined ? "" : ` (did you mean ${similar}?)`;
  throw new TypeError(
    `${operation}: options must not have ${JSON.stringify(name)}${hint}; there is ${quoteList(known)}`,
  );
}

/** How many letters may be wrong, missing, too many or exchanged. */
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

/** Levenshtein's. */
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
