import type { PackageCopy } from "../kernel/package-copies.js";

/** A copy of the package with any format. */
export type AnyCopy = Omit<PackageCopy, "format"> & { readonly format: number };

/** The copies of the package that are loaded in this process, the oldest first, of any format. */
export function knownCopies(): AnyCopy[] {
  const found: unknown = Reflect.get(globalThis, Symbol.for("bough.copies"));
  return Array.isArray(found) ? (found as WeakRef<AnyCopy>[]).flatMap((copy) => copy.deref() ?? []) : [];
}

/** Whether this code can read the nodes of a copy. */
export function isReadable(copy: AnyCopy): copy is AnyCopy & PackageCopy {
  return copy.format === 1;
}

/** The offset between the `id`s of two copies: each copy counts from 1. */
export const COPY_STEP: number = 2 ** 44;
