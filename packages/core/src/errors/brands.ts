// Registered symbols, so that a copy of the package recognises the objects of another copy.

/** On every scope. A scope of another copy is refused: two copies would be two trees. */
export const scopeBrand: unique symbol = Symbol.for("bough.Scope");

/** On every `CancelledError`. One of another copy counts as a cancellation. */
export const cancelledBrand: unique symbol = Symbol.for("bough.CancelledError");
