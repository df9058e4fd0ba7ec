/**
 * Has V8 collect sooner when many owner handles are open.
 *
 * V8 starts a collection of its old generation when that has grown by a share of its size. A handle is small, so a process that
 * drops thousands of them may have tens of thousands alive before the next collection, each with its workers. V8 also
 * starts one, in steps while the program runs, when the memory outside of its heap has grown by more than 64 MB. A
 * buffer that is neither kept nor written to reports such memory and takes none: the operating system gives pages
 * when they are used.
 *
 * `docs/orphans.md` has the figures. Newer V8 (Node 26) collects early by itself, so the number below is not reached there.
 */
const REPORTED_BYTES = 96 * 2 ** 20;

/** With fewer open handles there is no hint. Then at each doubling since the last collection, at most one for each. */
const MIN_OPEN_HANDLES = 4_096;

/** The number of open handles that are watched. */
let open = 0;
/** The least number of open handles since the last collection that a hint led to. */
let least = 0;
let isPending = false;
let collections: FinalizationRegistry<undefined> | undefined;

export function handleOpened(): void {
  open += 1;
  if (open < MIN_OPEN_HANDLES || isPending || open < 2 * least) return;
  hint();
}

export function handleReleased(): void {
  open -= 1;
  if (open < least) least = open;
}

interface Host {
  readonly process?: { readonly versions?: { readonly v8?: string } };
}

const isNode = (globalThis as Host).process?.versions?.v8 !== undefined;

function hint(): void {
  if (!isNode) return; // a browser may be short of addresses
  collections ??= new FinalizationRegistry(() => {
    isPending = false;
    least = open;
  });
  collections.register({}, undefined);
  isPending = true;
  try {
    void new ArrayBuffer(REPORTED_BYTES).byteLength;
  } catch {
    // A process with little address space does without.
  }
}
