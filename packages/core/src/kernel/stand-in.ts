/** By an object that stands for another one: what it stands for. */
const subjects = new WeakMap<object, object>();

/** Notes that bough hands out `standIn` in place of `subject`. */
export function standFor(standIn: object, subject: object): void {
  subjects.set(standIn, subject);
}

/** What `value` stands for; `undefined` if it stands for itself. That may stand for something in turn. */
export function subjectOf(value: object): object | undefined {
  return subjects.get(value);
}
