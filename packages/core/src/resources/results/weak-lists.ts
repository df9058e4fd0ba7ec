/** Lists of objects that may be collected, each list by the object that it belongs to. */
export type WeakLists<T extends object> = WeakMap<object, Set<WeakRef<T>>>;

/** Adds `member` to the list of `key`. Returns the list if it is new. */
export function addWeakly<T extends object>(
  lists: WeakLists<T>,
  key: object,
  member: WeakRef<T>,
): Set<WeakRef<T>> | undefined {
  const list = lists.get(key);
  if (list === undefined) {
    const added = new Set([member]);
    lists.set(key, added);
    return added;
  }
  // At each doubling, so that a long list is not searched for every member.
  if ((list.size & (list.size - 1)) === 0)
    for (const known of list) if (known.deref() === undefined) list.delete(known);
  list.add(member);
  return undefined;
}
