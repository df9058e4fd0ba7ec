import type { AstNode } from "./ast.js";
import type { Owners, SourceCode } from "./owners.js";
import type { ReferenceFinder } from "./reference-finder.js";

/** A file, as the rule sees it. */
export interface LintedFile {
  readonly source: SourceCode;
  readonly owners: Owners;
  readonly references: ReferenceFinder;
  readonly calls: readonly AstNode[];
  readonly assignments: readonly (readonly [target: AstNode, value: AstNode | undefined])[];
  /** The name of the bough function that is called; `undefined` for any other call. */
  calleeOf(call: AstNode): string | undefined;
}
