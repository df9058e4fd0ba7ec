/** A node of an ESTree, of whichever parser: the part that the rule uses. */
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

/** An expression without the parentheses and casts around it. */
export function unwrap(node: unknown): AstNode | undefined {
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
  const at = unwrap(node);
  if (at?.type !== "MemberExpression" || at["computed"] === true) return undefined;
  return isNode(at["object"]) && at["object"].type === "ThisExpression" ? keyOf(at["property"]) : undefined;
}

export function keyOf(key: unknown): string | undefined {
  const name = nameOf(key);
  return name !== undefined && isNode(key) && key.type === "PrivateIdentifier" ? `#${name}` : name;
}

/** The class whose instance `this` is at `node`; `undefined` where `this` is another object. */
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

/** Whether an identifier is part of a type, as in `typeof handle`, where nothing is read at run time. */
export function isInType(identifier: AstNode): boolean {
  const parent = identifier.parent;
  if (parent === null || parent === undefined) return false;
  if (parent.type === "TSQualifiedName") return isInType(parent);
  return parent.type.startsWith("TSType") && parent["expression"] !== identifier;
}

/** The innermost function that `node` stands in; `undefined` at the top of a module. */
export function functionAround(node: AstNode): AstNode | undefined {
  let at = node.parent;
  while (at !== null && at !== undefined && !isFunction(at)) at = at.parent;
  return at ?? undefined;
}

/** Every node of a tree, itself included, parents first. `enter` says whether to look below a node. */
export function* nodesIn(root: AstNode, enter: (node: AstNode) => boolean = () => true): Generator<AstNode> {
  yield root;
  if (enter(root)) for (const child of childrenOf(root)) yield* nodesIn(child, enter);
}

/** The name of the method that a call invokes: `on` of `process.on(…)`. */
export function methodOf(call: AstNode): { readonly object: AstNode; readonly name: string } | undefined {
  const callee = unwrap(call["callee"]);
  if (callee?.type !== "MemberExpression") return undefined;
  const property = unwrap(callee["property"]);
  // `scope[Symbol.asyncDispose]`
  const name = nameOf(property?.type === "MemberExpression" ? property["property"] : property);
  return name === undefined ? undefined : { object: callee["object"] as AstNode, name };
}

/** Where a chain of properties begins: `process` of `process.stdin`. */
export function rootOf(expression: unknown): AstNode | undefined {
  let at = unwrap(expression);
  while (at?.type === "MemberExpression") at = unwrap(at["object"]);
  return at;
}

/** `method.bind(…)` */
export function isBound(node: AstNode): boolean {
  return node.type === "CallExpression" && methodOf(node)?.name === "bind";
}

/** Whether the result of a call is dropped, or only used to call a method of it: `setInterval(…).unref()`. */
export function isUnused(call: AstNode): boolean {
  const parent = parentOf(call);
  if (parent?.type === "MemberExpression") return isUnused(parent);
  if (parent?.type === "CallExpression" && unwrap(parent["callee"]) === call) return isUnused(parent);
  return parent?.type === "ExpressionStatement" || parent?.type === "UnaryExpression";
}

/** The target to which the result of a call is assigned. */
export function targetOf(call: AstNode): AstNode | undefined {
  const at = parentOf(call);
  if (at?.type === "VariableDeclarator") return at["id"] as AstNode;
  if (at?.type === "AssignmentExpression") return at["left"] as AstNode;
  return at?.type === "PropertyDefinition" ? at : undefined;
}

/** The node that an expression is part of, without parentheses and the like. */
export function parentOf(expression: AstNode): AstNode | undefined {
  let at: AstNode | null | undefined = expression.parent;
  while (at !== null && at !== undefined && unwrap(at) === expression) at = at.parent;
  return at ?? undefined;
}

/** The expression that a function returns in its last statement, or as its body. */
export function returnedBy(closure: AstNode): AstNode | undefined {
  const body = unwrap(closure["body"]);
  if (body?.type !== "BlockStatement") return body;
  const last = (body["body"] as readonly AstNode[]).at(-1);
  return last?.type === "ReturnStatement" ? unwrap(last["argument"]) : undefined;
}

/** The options of a listener, and not an object with `handleEvent`. */
export function isOptions(argument: AstNode): boolean {
  if (argument.type !== "ObjectExpression") return false;
  return !(argument["properties"] as readonly AstNode[]).some(({ key }) => keyOf(key) === "handleEvent");
}

/** A number that is written out: `60_000`, `60 * 60 * 1000`. */
export function valueOfNumber(node: unknown): number {
  const at = unwrap(node);
  if (at?.type === "BinaryExpression" && at["operator"] === "*")
    return valueOfNumber(at["left"]) * valueOfNumber(at["right"]);
  return typeof at?.["value"] === "number" ? at["value"] : NaN;
}
