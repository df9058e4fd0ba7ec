import { integrations } from "./integrations.js";
import type { ScopeNode } from "./node.js";

/** A note of an integration on a scope, in snapshots and reports. */
export interface Annotation {
  /** A few words, for `formatTree` and for the message of a `StuckTasksError`: `waiting for host/4711`. */
  readonly text: string;
  /** Plain data that can be stringified, for `Snapshot.annotations`. */
  readonly data?: unknown;
}

/** Called when a snapshot or a report is created. Returns `undefined` if there is nothing to add. */
export type Annotator = () => Annotation | undefined;

export function setAnnotator(node: ScopeNode, key: string, annotator: Annotator | undefined): void {
  if (annotator === undefined) {
    node.extras?.settings?.annotators?.delete(key);
    return;
  }
  integrations.annotationText = annotationText;
  const settings = node.ensureSettings();
  settings.annotators ??= new Map();
  settings.annotators.set(key, annotator);
}

/**
 * The current notes of the integrations on `node` by their keys, or `undefined` if there are none. An annotator that
 * throws adds no note.
 */
export function annotationsOf(node: ScopeNode): Map<string, Annotation> | undefined {
  const annotators = node.extras?.settings?.annotators;
  if (annotators === undefined) return undefined;
  const found = new Map<string, Annotation>();
  for (const [key, annotator] of annotators) {
    try {
      const annotation = annotator();
      if (annotation !== undefined) found.set(key, annotation);
    } catch {
      // A report must not fail because one part of it can't be described.
    }
  }
  return found.size === 0 ? undefined : found;
}

function annotationText(node: ScopeNode): string | undefined {
  const annotations = annotationsOf(node);
  return annotations === undefined ? undefined : [...annotations.values()].map(({ text }) => text).join(", ");
}
