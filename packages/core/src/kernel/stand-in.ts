/** Key: an object that stands for another one. Value: that object. */
const subjects = new WeakMap<object, object>();

/** A program without stand-ins looks none up. */
let hasStandIns = false;

/** Records that bough hands out `standIn` in place of `subject`. */
export function standFor(standIn: object, subject: object): void {
  hasStandIns = true;
  subjects.set(standIn, subject);
}

/** The object that `value` stands for; `undefined` if it stands for itself. The result may stand for a third object. */
export function subjectOf(value: object): object | undefined {
  return hasStandIns ? subjects.get(value) : undefined;
}
