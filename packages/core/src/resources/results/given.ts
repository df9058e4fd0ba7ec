/** Puts the private members of a subclass on an object that is there already. */
export class Returning {
  constructor(object?: object) {
    // eslint-disable-next-line no-constructor-return -- the purpose of this class
    if (object !== undefined) return object;
  }
}

/**
 * The objects that came in as arguments of the methods of one handle. If a method returns one, it belongs to the caller and holds
 * nothing.
 *
 * An object is marked by a private member of its own: no code sees it, and a new object takes a tenth of the time that a
 * `WeakSet` takes for it.
 */
export class GivenObjects {
  /** Those that have the mark of another handle already, and those that take no mark. */
  readonly #others = new WeakSet();

  add(value: object): void {
    if (Mark.isOf(value, this)) return;
    if (Mark.isMarked(value)) this.#others.add(value);
    else this.#mark(value);
  }

  has(value: object): boolean {
    return Mark.isOf(value, this) || this.#others.has(value);
  }

  #mark(value: object): void {
    try {
      new Mark(value, this);
    } catch {
      this.#others.add(value); // engines may refuse new private members for what is not extensible, or of another origin
    }
  }
}

class Mark extends Returning {
  readonly #given: GivenObjects;

  constructor(value: object, given: GivenObjects) {
    super(value);
    this.#given = given;
  }

  static isMarked(value: object): boolean {
    return #given in value;
  }

  static isOf(value: object, given: GivenObjects): boolean {
    return #given in value && value.#given === given;
  }
}
