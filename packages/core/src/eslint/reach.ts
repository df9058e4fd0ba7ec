import {
  bare,
  childrenOf,
  classOfThis,
  contains,
  findThis,
  isBound,
  isFunction,
  isNode,
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

/** Tells what certainly keeps an owner handle alive. What may as well not, is not told. */
export class Reach {
  readonly #source: SourceCode;

  constructor(source: SourceCode) {
    this.#source = source;
  }

  /** The functions that an argument is or contains, by name too, and `method.bind(this)`. */
  closuresIn(argument: AstNode): AstNode[] {
    const at = bare(argument);
    if (at === undefined) return [];
    if (isFunction(at) || isBound(at)) return [at];
    if (at.type === "Identifier") {
      const value = valueOf(variableOf(this.#source, at));
      return value !== undefined && (isFunction(value) || isBound(value)) ? [value] : [];
    }
    if (at.type === "ArrayExpression")
      return (at["elements"] as readonly unknown[]).filter(isNode).flatMap((each) => this.closuresIn(each));
    const inside = at.type === "ObjectExpression" ? (at["properties"] as readonly AstNode[]) : [];
    return inside.flatMap((property) =>
      isNode(property["value"]) ? this.closuresIn(property["value"]) : [],
    );
  }

  /** The argument of `selfCleaning` that is `build`: the first one, or the one after the parent. */
  builderIn([first, second]: readonly AstNode[]): AstNode | undefined {
    if (first === undefined || second === undefined || this.closuresIn(first).length > 0) return first;
    return this.closuresIn(second).length > 0 ? second : first;
  }

  /** What in an expression makes its value hold the owner handle; `undefined` if it may as well not hold it. */
  holdIn(owner: Owner, expression: unknown): AstNode | undefined {
    const at = bare(expression);
    if (at === undefined) return undefined;
    if (isFunction(at)) return this.mentionOf(owner, at);
    if (at.type === "ThisExpression")
      return owner.holder !== undefined && classOfThis(at) === owner.holder ? at : undefined;
    const parts = isBound(at) ? at["arguments"] : (at["elements"] ?? at["properties"]);
    if (Array.isArray(parts)) {
      const values = parts.map((part: AstNode | null) => (part?.type === "Property" ? part["value"] : part));
      return values.map((value) => this.holdIn(owner, value)).find((found) => found !== undefined);
    }
    const variable = variableOf(this.#source, at);
    if (variable === undefined) return undefined;
    if (variable === owner.variable || this.#isAliasOf(owner, variable)) return at;
    const value = valueOf(variable);
    return value !== undefined && isFunction(value) ? this.mentionOf(owner, value) : undefined;
  }

  #isAliasOf(owner: Owner, variable: Variable): boolean {
    const value = valueOf(variable);
    return (
      value?.type === "ThisExpression" && owner.holder !== undefined && classOfThis(value) === owner.holder
    );
  }

  mentionOf(owner: Owner, closure: AstNode): AstNode | undefined {
    if (isBound(closure)) return this.holdIn(owner, closure);
    const { variable } = owner;
    if (variable !== undefined && !isDeclaredIn(variable, closure)) {
      const direct = readsOf(variable).find((identifier) => contains(closure, identifier));
      if (direct !== undefined) return direct;
    }
    if (owner.holder === undefined || classOfThis(closure) !== owner.holder) return undefined;
    return findThis(closure) ?? this.#aliasOfThis(closure);
  }

  /** A mention of `self`, as in `const self = this`. */
  #aliasOfThis(closure: AstNode): AstNode | undefined {
    const stack = [closure];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      const definition = node.type === "Identifier" ? this.#definitionOf(node) : undefined;
      if (definition !== undefined && !contains(closure, definition)) return node;
      stack.push(...childrenOf(node));
    }
    return undefined;
  }

  #definitionOf(identifier: AstNode): AstNode | undefined {
    const variable = variableOf(this.#source, identifier);
    const isMention = variable?.references.some((reference) => reference.identifier === identifier) === true;
    return isMention && valueOf(variable)?.type === "ThisExpression" ? variable.defs[0]?.node : undefined;
  }
}
