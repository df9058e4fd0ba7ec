import type { NodeInfo } from "../inspect/index.js";
import type { Suspicion } from "../inspect/warning-rules.js";
import { currentInfo, type Entry } from "./tree-entry.js";

/** How many scopes of each suspicion are judged. More would not change the warnings. */
const MAX_SUSPECTS = 1_000;
/** The scopes of a look that a warning may report. */
export class Suspects {
  readonly #found = new Set<Entry>();
  readonly #counts = new Map<Suspicion, number>();
  /** False if some suspects were left out. */
  isComplete = true;

  clear(): void {
    this.#found.clear();
    this.#counts.clear();
    this.isComplete = true;
  }

  add(entry: Entry, suspicion: Suspicion): void {
    const count = (this.#counts.get(suspicion) ?? 0) + 1;
    this.#counts.set(suspicion, count);
    if (count <= MAX_SUSPECTS) this.#found.add(entry);
    else if (suspicion !== "running" && suspicion !== "joining" && suspicion !== "permit")
      this.isComplete = false;
  }

  /**
   * Returns the suspects, their ancestors, and one unsuspicious child of each. The rules need the child to know whether
   * a scope has children, and whether all of them are blocked.
   */
  nodes(findChild: (parent: Entry, isWanted: (child: Entry) => boolean) => Entry | undefined): NodeInfo[] {
    const chosen = new Set<Entry>();
    for (const suspect of this.#found)
      for (let at: Entry | undefined = suspect; at !== undefined && !chosen.has(at); at = at.parent)
        chosen.add(at);
    const children: Entry[] = [];
    for (const entry of chosen) {
      const child = findChild(entry, (each) => !chosen.has(each));
      if (child !== undefined) children.push(child);
    }
    return [...chosen, ...children].map(currentInfo);
  }
}
