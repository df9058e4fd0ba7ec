import { bare, classOfThis, fieldOfThis, keyOf, type AstNode } from "./ast.js";

/** What the rule needs of a scope manager's variable. */
export interface Variable {
  readonly references: readonly { readonly identifier: AstNode }[];
  readonly defs: readonly { readonly node: AstNode }[];
}

export interface SourceCode {
  getScope(node: AstNode): ScopeOfNames;
}

interface ScopeOfNames {
  readonly set: ReadonlyMap<string, Variable>;
  readonly upper: ScopeOfNames | null;
}

/** The variable that `identifier` means, where it stands. */
export function variableOf(source: SourceCode, identifier: AstNode | undefined): Variable | undefined {
  if (identifier?.type !== "Identifier") return undefined;
  const name = identifier["name"] as string;
  for (let scope: ScopeOfNames | null = source.getScope(identifier); scope !== null; scope = scope.upper) {
    const variable = scope.set.get(name);
    if (variable !== undefined) return variable;
  }
  return undefined;
}

/** Where an owner handle is kept: in a variable, or in a field of the instances of a class. */
export interface Owner {
  readonly name: string;
  readonly variable?: Variable | undefined;
  readonly holder?: AstNode | undefined;
}

/** The places of a file that hold owner handles. */
export class Owners {
  readonly #source: SourceCode;
  readonly #variables = new Set<Variable>();
  readonly #fields = new Map<AstNode, Set<string>>();
  /** The classes whose `this` holds what is in the variable. */
  readonly #holders = new Map<Variable, AstNode>();

  constructor(source: SourceCode) {
    this.#source = source;
  }

  /** Notes that `target` (of an assignment, a declaration or a class field) gets an owner handle. */
  add(target: AstNode | undefined): void {
    const variable = variableOf(this.#source, bare(target));
    if (variable !== undefined) this.#variables.add(variable);
    const field = target?.type === "PropertyDefinition" ? keyOf(target["key"]) : fieldOfThis(target);
    if (field === undefined || target === undefined) return;
    const holder = target.type === "PropertyDefinition" ? target.parent?.parent : classOfThis(target);
    if (holder !== undefined && holder !== null) this.#fieldsOf(holder).add(field);
  }

  /** Notes `this.x = handle`, after all handles are known. */
  addCopy(target: AstNode, value: AstNode | undefined): void {
    const variable = variableOf(this.#source, value);
    const field = fieldOfThis(target);
    const holder = classOfThis(target);
    if (variable === undefined || !this.#variables.has(variable)) return;
    if (field === undefined || holder === undefined) return;
    this.#fieldsOf(holder).add(field);
    this.#holders.set(variable, holder);
  }

  /** The owner that an expression is, if it is one. */
  find(expression: unknown): Owner | undefined {
    const at = bare(expression);
    if (at === undefined) return undefined;
    const variable = variableOf(this.#source, at);
    if (variable !== undefined && this.#variables.has(variable)) {
      return { name: at["name"] as string, variable, holder: this.#holders.get(variable) };
    }
    const field = at.type === "PropertyDefinition" ? keyOf(at["key"]) : fieldOfThis(at);
    const holder = at.type === "PropertyDefinition" ? (at.parent?.parent ?? undefined) : classOfThis(at);
    if (field === undefined || holder === undefined || this.#fields.get(holder)?.has(field) !== true)
      return undefined;
    return { name: `this.${field}`, holder };
  }

  #fieldsOf(holder: AstNode): Set<string> {
    const fields = this.#fields.get(holder) ?? new Set();
    this.#fields.set(holder, fields);
    return fields;
  }
}
