/** A node of an ESTree, of whichever parser: what the rule needs of it. */
export interface AstNode {
  readonly type: string;
  readonly parent?: AstNode | null;
  readonly range?: readonly [number, number];
  readonly [key: string]: unknown;
}

export function isNode(value: unknown): value is AstNode {
  return (
    typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string"
  );
}

/** The nodes directly below, in their order. */
export function childrenOf(node: AstNode): AstNode[] {
  return Object.entries(node)
    .filter(([key]) => key !== "parent")
    .flatMap(([, value]) => value)
    .filter(isNode);
}

export function isFunction(node: AstNode): boolean {
  return node.type === "ArrowFunctionExpression" || node.type === "FunctionExpression" || isDeclaration(node);
}

function isDeclaration(node: AstNode): boolean {
  return node.type === "FunctionDeclaration";
}

const wrappers = new Set([
  "TSAsExpression",
  "TSSatisfiesExpression",
  "TSNonNullExpression",
  "TSTypeAssertion",
  "TSInstantiationExpression",
  "ChainExpression",
]);

/** Without what stands around an expression and changes nothing. */
export function bare(node: unknown): AstNode | undefined {
  let at = node;
  while (isNode(at) && wrappers.has(at.type)) at = at["expression"];
  return isNode(at) ? at : undefined;
}

export function nameOf(node: unknown): string | undefined {
  const name = isNode(node) ? node["name"] : undefined;
  return typeof name === "string" ? name : undefined;
}

/** `x` of `this.x`, `#x` of `this.#x`; `undefined` for every other expression. */
export function fieldOfThis(node: unknown): string | undefined {
  const at = bare(node);
  if (at?.type !== "MemberExpression" || at["computed"] === true) return undefined;
  return isNode(at["object"]) && at["object"].type === "ThisExpression" ? keyOf(at["property"]) : undefined;
}

export function keyOf(key: unknown): string | undefined {
  const name = nameOf(key);
  return name !== undefined && isNode(key) && key.type === "PrivateIdentifier" ? `#${name}` : name;
}

/** The class whose instance `this` is at `node`; `undefined` where `this` is something else. */
export function classOfThis(node: AstNode): AstNode | undefined {
  for (let at = node.parent; at !== undefined && at !== null; at = at.parent) {
    if (at.type === "MethodDefinition" || at.type === "PropertyDefinition") {
      return at["static"] === true ? undefined : (at.parent?.parent ?? undefined);
    }
    const hasOwnThis = isFunction(at) && at.type !== "ArrowFunctionExpression";
    if (hasOwnThis && at.parent?.type !== "MethodDefinition") return undefined;
  }
  return undefined;
}

/** The first `this` in a closure that is the `this` around it. */
export function findThis(closure: AstNode): AstNode | undefined {
  if (closure.type === "ThisExpression") return closure;
  const hasOwnThis = isFunction(closure) && closure.type !== "ArrowFunctionExpression";
  if (hasOwnThis || closure.type.startsWith("Class")) return undefined;
  for (const child of childrenOf(closure)) {
    const found = findThis(child);
    if (found !== undefined) return found;
  }
  return undefined;
}

export function contains(outer: AstNode, inner: AstNode): boolean {
  const [start, end] = outer.range ?? [0, 0];
  const [at] = inner.range ?? [-1];
  return at >= start && at < end;
}

/** Whether an identifier stands in a type, as in `typeof handle`, where nothing is read at run time. */
export function isInType(identifier: AstNode): boolean {
  const parent = identifier.parent;
  if (parent === null || parent === undefined) return false;
  return parent.type === "TSQualifiedName" ? isInType(parent) : parent.type.startsWith("TSType");
}
