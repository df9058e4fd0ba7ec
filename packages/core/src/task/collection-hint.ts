/**
 * Makes V8 collect garbage earlier when many owner handles are open.
 *
 * V8 collects its old generation when that has grown by a share of its size. A handle is small, so a process that drops
 * handles may have tens of thousands of them alive before the next collection, each with its workers. V8 also starts an
 * incremental collection when external memory has grown by more than 64 MB. Allocating a large buffer reports such
 * memory and uses none, since the operating system provides pages only when they are written.
 *
 * `docs/orphans.md` has the figures. Newer V8 (Node 26) collects early by itself, so the number below is not reached
 * there.
 */
const REPORTED_BYTES = 96 * 2 ** 20;

/** With fewer open handles there is no hint. From here on, one hint at each doubling since the last collection. */
const MIN_OPEN_HANDLES = 4_096;

/** The number of open handles that are watched. */
let open = 0;
/** The smallest number of open handles since the last collection after a hint. */
let least = 0;
let isPending = false;
let collections: FinalizationRegistry<undefined> | undefined;

export function handleOpened(): void {
  open += 1;
  if (open < MIN_OPEN_HANDLES || isPending || open < 2 * least || !isNode) return;
  isPending = true;
  void Promise.resolve().then(hint); // finalizers don't run before the end of the job: it would free no handle now
}

export function handleReleased(): void {
  open -= 1;
  if (open < least) least = open;
}

interface Host {
  readonly process?: { readonly versions?: { readonly v8?: string } };
}

/** Only Node gets the hint: a browser may have little address space. */
const isNode = (globalThis as Host).process?.versions?.v8 !== undefined;

function hint(): void {
  collections ??= new FinalizationRegistry(() => {
    isPending = false;
    least = open;
  });
  collections.register({}, undefined);
  try {
    void new ArrayBuffer(REPORTED_BYTES).byteLength;
  } catch {
    // There is too little address space.
  }
}
