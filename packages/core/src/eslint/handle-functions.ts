import { unwrap, isFunction, nameOf, returnedBy, type AstNode } from "./ast.js";
import type { LintedFile } from "./linted-file.js";
import { isOfModule, variableOf, type Owner } from "./owners.js";

/** Variables that hold a function from a field of a selfCleaning handle. Such a function is bound to the handle. */
export function* functionsOfHandles(file: LintedFile): Generator<Owner> {
  for (const [target, value] of file.assignments) {
    const { names, from } = functionsOf(file, value);
    if (names.size === 0) continue;
    if (target.type === "ObjectPattern") {
      for (const property of target["properties"] as readonly AstNode[]) {
        const variable = variableOf(file.source, unwrap(property["value"]));
        const isTaken = names.has(nameOf(property["key"]) ?? "") && variable !== undefined;
        if (isTaken && !isOfModule(variable)) yield { name: variable.name, variable };
      }
    } else if (from?.type === "MemberExpression" && names.has(nameOf(from["property"]) ?? "")) {
      const variable = variableOf(file.source, unwrap(target));
      if (variable !== undefined && !isOfModule(variable)) yield { name: variable.name, variable };
    }
  }
}

/** Returns the names of the fields that hold functions, for `handle`, `selfCleaning(…)` and `handle.get`. */
function functionsOf(
  file: LintedFile,
  expression: AstNode | undefined,
): { names: ReadonlySet<string>; from: AstNode | undefined } {
  const from = unwrap(expression);
  const handle = from?.type === "MemberExpression" ? unwrap(from["object"]) : from;
  const variable = variableOf(file.source, handle);
  const isOwner = variable !== undefined && file.owners.find(handle) !== undefined;
  const made = isOwner ? unwrap(variable.defs[0]?.node["init"]) : handle;
  const names = new Set<string>();
  if (made?.type !== "CallExpression" || file.calleeOf(made) !== "selfCleaning") return { names, from };
  const builder = file.references.builderIn(made["arguments"] as readonly AstNode[]);
  const [build] = builder === undefined ? [] : file.references.closuresIn(builder);
  const inner = build === undefined ? undefined : innerOf(file, build);
  for (const property of (inner?.["properties"] as readonly AstNode[] | undefined) ?? []) {
    const name = nameOf(property["key"]);
    const held = unwrap(property["value"]);
    if (name !== undefined && property["kind"] === "init" && held !== undefined && isFunction(held))
      names.add(name);
  }
  return { names, from };
}

/** The object literal that `build` returns, if it returns one. */
function innerOf(file: LintedFile, build: AstNode): AstNode | undefined {
  const returned = returnedBy(build);
  const variable = variableOf(file.source, returned);
  const value = variable === undefined ? returned : unwrap(variable.defs[0]?.node["init"]);
  return value?.type === "ObjectExpression" ? value : undefined;
}
