/** The numbers for no name, and for a name that did not fit. */
export const NO_NAME = 0;
const OTHER = 1;
const OTHER_NAME = "(other)";

/** The number of a name has 16 bits in a record. */
const MAX_NAMES = 2 ** 16;
/** Longer names are cut off. */
const MAX_LENGTH = 256;
/** The approximate size of a table entry without its characters, in bytes. */
const OVERHEAD = 64;

/**
 * Maps names to numbers, so that a record has a fixed size. The table is bounded in bytes. When the table is full, it
 * drops the names that no record has. Programs whose names contain numbers (`order 4711`) may need still more. Then a
 * name is stored as its pattern (`order #`), or as `(other)` if the pattern does not fit either.
 */
export class NameTable {
  readonly #numbers = new Map<string, number>();
  readonly #names: (string | undefined)[] = ["", OTHER_NAME];
  readonly #free: number[] = [];
  readonly #maxBytes: number;
  #bytes = 0;
  /** How many times a name was stored as its pattern, or as `(other)`. */
  replaced = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether {@link sweep} may make room. An eighth is left for patterns. */
  get isFull(): boolean {
    return (
      this.#bytes > (this.#maxBytes / 8) * 7 || this.#names.length - this.#free.length >= MAX_NAMES - 1024
    );
  }

  /** The names by their numbers. */
  toArray(): string[] {
    return this.#names.map((name) => name ?? "");
  }

  numberOf(name: string): number {
    if (name === "") return NO_NAME;
    return this.#numbers.get(name) ?? this.#add(name);
  }

  #add(name: string): number {
    // Joined, because a slice keeps the whole string alive.
    if (name.length > MAX_LENGTH)
      return this.numberOf(`${Array.from(name.slice(0, MAX_LENGTH - 1)).join("")}…`);
    if (!this.isFull) return this.#store(name);
    this.replaced += 1;
    const pattern = name.replace(/\d+/g, "#");
    const known = this.#numbers.get(pattern);
    if (known !== undefined) return known;
    const fits = this.#bytes + sizeOf(pattern) <= this.#maxBytes && this.#numbers.size < MAX_NAMES - 2;
    return fits ? this.#store(pattern) : OTHER;
  }

  #store(name: string): number {
    const number = this.#free.pop() ?? this.#names.length;
    this.#names[number] = name;
    this.#numbers.set(name, number);
    this.#bytes += sizeOf(name);
    return number;
  }

  /** Drops every name for which `isUsed` is 0. */
  sweep(isUsed: Uint8Array): void {
    for (const [name, number] of this.#numbers) {
      if (isUsed[number] === 1) continue;
      this.#numbers.delete(name);
      this.#names[number] = undefined;
      this.#free.push(number);
      this.#bytes -= sizeOf(name);
    }
  }
}

function sizeOf(name: string): number {
  return OVERHEAD + 2 * name.length;
}
