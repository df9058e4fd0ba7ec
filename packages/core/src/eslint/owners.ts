import {
  unwrap,
  classOfThis,
  contains,
  fieldOfThis,
  functionAround,
  isInType,
  keyOf,
  nameOf,
  type AstNode,
} from "./ast.js";

/** The part of a scope manager's variable that the rule uses. */
export interface Variable {
  readonly name: string;
  readonly scope: { readonly type: string; readonly block: AstNode };
  readonly references: readonly Reference[];
  readonly defs: readonly Definition[];
}

interface Reference {
  readonly identifier: AstNode;
  readonly init?: boolean;
  readonly writeExpr?: AstNode | null;
  isWrite(): boolean;
}

/** For a parameter, `node` is the function that has the parameter, and not the parameter itself. */
interface Definition {
  readonly type: string;
  readonly node: AstNode;
}

export interface SourceCode {
  getScope(node: AstNode): ScopeOfNames;
}

interface ScopeOfNames {
  readonly set: ReadonlyMap<string, Variable>;
  readonly upper: ScopeOfNames | null;
}

/** The variable that `identifier` refers to at its position. */
export function variableOf(source: SourceCode, identifier: AstNode | undefined): Variable | undefined {
  if (identifier?.type !== "Identifier") return undefined;
  const name = identifier["name"] as string;
  for (let scope: ScopeOfNames | null = source.getScope(identifier); scope !== null; scope = scope.upper) {
    const variable = scope.set.get(name);
    if (variable !== undefined) return variable;
  }
  return undefined;
}

/**
 * The expression, or the declared function, that a variable certainly holds. `undefined` if the variable gets its value
 * elsewhere: from a caller, by destructuring, from a module, or by a second assignment.
 */
export function valueOf(variable: Variable | undefined): AstNode | undefined {
  const [definition, another] = variable?.defs ?? [];
  if (variable === undefined || definition === undefined || another !== undefined) return undefined;
  const { type, node } = definition;
  const writes = variable.references.filter((reference) => reference.isWrite()).length;
  if (type === "FunctionName") return writes === 0 ? node : undefined;
  if (type !== "Variable" || (node["id"] as AstNode).type !== "Identifier") return undefined;
  return writes === 1 ? unwrap(node["init"]) : undefined;
}

/** `undefined` or `null`, which a variable holds before it gets its handle. */
export function isNullish(node: unknown): boolean {
  const at = unwrap(node);
  return nameOf(at) === "undefined" || (at?.type === "Literal" && at["raw"] === "null");
}

/** Whether `variable` is declared within `node`: each call then has its own variable. */
export function isDeclaredIn(variable: Variable, node: AstNode): boolean {
  return variable.defs.some((definition) => contains(node, definition.node) && definition.node !== node);
}

/** The references that read the variable's value at run time: those of a type query do not. */
export function readsOf(variable: Variable): AstNode[] {
  return variable.references
    .map(({ identifier }) => identifier)
    .filter((identifier) => !isInType(identifier));
}

/** Declared at the top of a module: there as long as the module is. */
export function isOfModule({ scope }: Variable): boolean {
  return scope.type === "module" || scope.type === "global";
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
  /** How many times each variable is assigned an owner handle. */
  readonly #variables = new Map<Variable, number>();
  readonly #fields = new Map<AstNode, Set<string>>();
  /** The classes whose `this` holds the value of the variable. */
  readonly #holders = new Map<Variable, AstNode>();

  constructor(source: SourceCode) {
    this.#source = source;
  }

  /** Records that `target` (of an assignment, a declaration or a class field) gets an owner handle. */
  add(target: AstNode | undefined): void {
    const variable = variableOf(this.#source, unwrap(target));
    if (variable !== undefined) this.#variables.set(variable, (this.#variables.get(variable) ?? 0) + 1);
    const field = target?.type === "PropertyDefinition" ? keyOf(target["key"]) : fieldOfThis(target);
    if (field === undefined || target === undefined) return;
    const holder = target.type === "PropertyDefinition" ? target.parent?.parent : classOfThis(target);
    if (holder !== undefined && holder !== null) this.#fieldsOf(holder).add(field);
  }

  /** Records `this.x = handle`. Call it when all handles are known. */
  addCopy(target: AstNode, value: AstNode | undefined): void {
    const variable = variableOf(this.#source, value);
    const field = fieldOfThis(target);
    const holder = classOfThis(target);
    if (variable === undefined || !this.#holdsOwner(variable)) return;
    if (field === undefined || holder === undefined) return;
    this.#fieldsOf(holder).add(field);
    this.#holders.set(variable, holder);
  }

  /** The owner that an expression refers to; `undefined` if there is none. */
  find(expression: unknown): Owner | undefined {
    const at = unwrap(expression);
    if (at === undefined) return undefined;
    const variable = variableOf(this.#source, at);
    if (variable !== undefined && this.#holdsOwner(variable)) {
      return { name: at["name"] as string, variable, holder: this.#holders.get(variable) };
    }
    const field = at.type === "PropertyDefinition" ? keyOf(at["key"]) : fieldOfThis(at);
    const holder = at.type === "PropertyDefinition" ? (at.parent?.parent ?? undefined) : classOfThis(at);
    if (field === undefined || holder === undefined || this.#fields.get(holder)?.has(field) !== true)
      return undefined;
    return { name: `this.${field}`, holder };
  }

  /** Whether only owner handles are assigned to it: another assignment releases the handle. */
  #holdsOwner(variable: Variable): boolean {
    const writes = variable.references.filter(
      (reference) => reference.isWrite() && !(reference.init === true && isNullish(reference.writeExpr)),
    );
    const home = functionAround(variable.defs[0]?.node ?? variable.scope.block);
    return (
      writes.length === this.#variables.get(variable) &&
      // In another function, each call would release the handle that the previous call created.
      writes.every(({ identifier }) => functionAround(identifier) === home)
    );
  }

  /** Every owner of the file. */
  all(): Owner[] {
    const variables = [...this.#variables.keys()].filter((variable) => this.#holdsOwner(variable));
    const fields = [...this.#fields].map(([holder, [name]]) => ({ name: `this.${name}`, holder }));
    return [
      ...variables.map((variable) => ({
        name: variable.name,
        variable,
        holder: this.#holders.get(variable),
      })),
      ...fields,
    ];
  }

  #fieldsOf(holder: AstNode): Set<string> {
    const fields = this.#fields.get(holder) ?? new Set();
    this.#fields.set(holder, fields);
    return fields;
  }
}
