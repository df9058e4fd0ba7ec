/** The base of classes that add private members to an existing object. */
export class ExistingObject {
  constructor(object?: object) {
    // eslint-disable-next-line no-constructor-return -- the purpose of this class
    if (object !== undefined) return object;
  }
}

/**
 * The objects that were passed to the methods of one handle as arguments. If a method returns one, it belongs to the
 * caller and holds nothing.
 *
 * An object is marked with a private member, which no code can see. For a new object this takes a tenth of the time of
 * a `WeakSet`.
 */
export class CallerObjects {
  /** The objects with the mark of another handle, and those that can't be marked. */
  #others: WeakSet<object> | undefined;

  add(value: object): void {
    if (Mark.isOf(value, this)) return;
    if (Mark.isMarked(value)) this.#addToOthers(value);
    else this.#mark(value);
  }

  has(value: object): boolean {
    return Mark.isOf(value, this) || this.#others?.has(value) === true;
  }

  #addToOthers(value: object): void {
    (this.#others ??= new WeakSet()).add(value);
  }

  #mark(value: object): void {
    try {
      new Mark(value, this);
    } catch {
      this.#addToOthers(value); // engines may refuse private members on objects that are not extensible, or of another origin
    }
  }
}

class Mark extends ExistingObject {
  readonly #given: CallerObjects;

  constructor(value: object, given: CallerObjects) {
    super(value);
    this.#given = given;
  }

  static isMarked(value: object): boolean {
    return #given in value;
  }

  static isOf(value: object, given: CallerObjects): boolean {
    return #given in value && value.#given === given;
  }
}
