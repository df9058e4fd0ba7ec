import type { Scope } from "bough";
import type { View } from "./terminal/stage.js";

/** One part of the showcase. The acts are played one after the other. */
export interface Act extends View {
  /** The name of its scope. */
  readonly name: string;
  readonly title: string;
  /** Two or three lines: what there is to see. */
  readonly introduction: readonly string[];
  /** Plays it, in a scope of its own. What it started is over when that scope has settled. */
  play(scope: Scope): Promise<void>;
  /** The outcome, once it is over. It stays on the screen. */
  summary(): readonly string[];
  /** The conditions that must be true once it is over. */
  checks(): readonly Check[];
}

/** A claim, and whether it held. */
export interface Check {
  readonly claim: string;
  readonly expected: string | number;
  readonly found: string | number;
}

export function holds(check: Check): boolean {
  return check.expected === check.found;
}
