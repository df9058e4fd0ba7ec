import {
  unwrap,
  childrenOf,
  classOfThis,
  contains,
  fieldOfThis,
  findThis,
  isBound,
  isFunction,
  isNode,
  keyOf,
  nodesIn,
  type AstNode,
} from "./ast.js";
import {
  isDeclaredIn,
  readsOf,
  valueOf,
  variableOf,
  type Owner,
  type SourceCode,
  type Variable,
} from "./owners.js";

/** Finds code that certainly keeps an owner handle alive. Code that may not keep it is not reported. */
export class ReferenceFinder {
  readonly #source: SourceCode;

  constructor(source: SourceCode) {
    this.#source = source;
  }

  /** The functions that an argument is or contains, by name too, and `method.bind(this)`. */
  closuresIn(argument: AstNode): AstNode[] {
    const at = unwrap(argument);
    if (at === undefined) return [];
    if (isFunction(at) || isBound(at)) return [at];
    if (at.type === "Identifier") {
      const value = valueOf(variableOf(this.#source, at));
      return value !== undefined && (isFunction(value) || isBound(value)) ? [value] : [];
    }
    const own = at.type === "MemberExpression" ? arrowInField(at) : undefined;
    if (own !== undefined) return [own];
    if (at.type === "ArrayExpression")
      return (at["elements"] as readonly unknown[]).filter(isNode).flatMap((each) => this.closuresIn(each));
    const inside = at.type === "ObjectExpression" ? (at["properties"] as readonly AstNode[]) : [];
    return inside.flatMap((property) =>
      isNode(property["value"]) ? this.closuresIn(property["value"]) : [],
    );
  }

  /** The argument of `selfCleaning` that is `build`: the first, or the second if the first is the parent. */
  builderIn([first, second]: readonly AstNode[]): AstNode | undefined {
    if (first === undefined || second === undefined || this.closuresIn(first).length > 0) return first;
    return this.closuresIn(second).length > 0 ? second : first;
  }

  /** The part of an expression that makes its value hold the owner handle; `undefined` if it may not hold it. */
  referenceIn(owner: Owner, expression: unknown): AstNode | undefined {
    const at = unwrap(expression);
    if (at === undefined) return undefined;
    if (isFunction(at)) return this.referenceInClosure(owner, at);
    if (at.type === "ThisExpression")
      return owner.holder !== undefined && classOfThis(at) === owner.holder ? at : undefined;
    const parts = isBound(at) ? at["arguments"] : (at["elements"] ?? at["properties"]);
    if (Array.isArray(parts)) {
      const values = parts.map((part: AstNode | null) => (part?.type === "Property" ? part["value"] : part));
      return values.map((value) => this.referenceIn(owner, value)).find((found) => found !== undefined);
    }
    const variable = variableOf(this.#source, at);
    if (variable === undefined) return undefined;
    if (variable === owner.variable || this.#isAliasOf(owner, variable)) return at;
    const value = valueOf(variable);
    return value !== undefined && isFunction(value) ? this.referenceInClosure(owner, value) : undefined;
  }

  /** Whether the variable is `self`, as in `const self = this`, or `state`, as in `const state = { handle }`. */
  #isAliasOf(owner: Owner, variable: Variable): boolean {
    const value = valueOf(variable);
    if (value?.type === "ThisExpression")
      return owner.holder !== undefined && classOfThis(value) === owner.holder;
    if (owner.variable === undefined || value === undefined || variable === owner.variable) return false;
    const parts = value.type === "ArrayExpression" ? value["elements"] : value["properties"];
    if (!Array.isArray(parts)) return variableOf(this.#source, value) === owner.variable;
    const part = parts.find((each: AstNode | null) => {
      const held = each?.type === "Property" ? unwrap(each["value"]) : (each ?? undefined);
      return variableOf(this.#source, held) === owner.variable;
    }) as AstNode | undefined;
    if (part === undefined) return false;
    const key = part.type === "Property" ? keyOf(part["key"]) : undefined;
    return !readsOf(variable).some((identifier) => isWrittenTo(identifier, key));
  }

  referenceInClosure(owner: Owner, closure: AstNode): AstNode | undefined {
    if (isBound(closure)) return this.referenceIn(owner, closure);
    const { variable } = owner;
    if (variable !== undefined && !isDeclaredIn(variable, closure)) {
      const direct = readsOf(variable).find((identifier) => contains(closure, identifier));
      if (direct !== undefined) return direct;
    }
    const isOfHolder = owner.holder !== undefined && classOfThis(closure) === owner.holder;
    return (isOfHolder ? findThis(closure) : undefined) ?? this.#aliasIn(closure, owner);
  }

  /** A mention of an alias of the owner that is declared outside of the closure. */
  #aliasIn(closure: AstNode, owner: Owner): AstNode | undefined {
    const stack = [closure];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      const definition = node.type === "Identifier" ? this.#definitionOf(node, owner) : undefined;
      if (definition !== undefined && !contains(closure, definition)) return node;
      stack.push(...childrenOf(node));
    }
    return undefined;
  }

  #definitionOf(identifier: AstNode, owner: Owner): AstNode | undefined {
    const variable = variableOf(this.#source, identifier);
    if (variable?.references.some((reference) => reference.identifier === identifier) !== true)
      return undefined;
    return this.#isAliasOf(owner, variable) ? variable.defs[0]?.node : undefined;
  }
}

/** The arrow function that a class field certainly holds: `run` of `this.run`. */
function arrowInField(member: AstNode): AstNode | undefined {
  const field = fieldOfThis(member);
  const holder = classOfThis(member);
  const body = holder === undefined ? undefined : (holder["body"] as AstNode);
  if (field === undefined || body === undefined) return undefined;
  for (const node of nodesIn(body))
    if (node.type === "AssignmentExpression" && fieldOfThis(node["left"]) === field) return undefined;
  const own = (body["body"] as readonly AstNode[]).find(
    ({ type, key }) => type === "PropertyDefinition" && keyOf(key) === field,
  );
  const value = unwrap(own?.["value"]);
  return value?.type === "ArrowFunctionExpression" ? value : undefined;
}

/** Whether the field of the object is assigned or deleted: `state.handle = undefined`. Without a key, any of them. */
function isWrittenTo(identifier: AstNode, key: string | undefined): boolean {
  const member = identifier.parent;
  if (member?.type !== "MemberExpression" || member["object"] !== identifier) return false;
  if (key !== undefined && member["computed"] !== true && keyOf(member["property"]) !== key) return false;
  const { parent } = member;
  if (parent?.type === "UnaryExpression") return parent["operator"] === "delete";
  return parent?.type === "AssignmentExpression" && parent["left"] === member;
}
