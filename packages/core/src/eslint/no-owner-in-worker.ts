import {
  bare,
  childrenOf,
  classOfThis,
  contains,
  findThis,
  isFunction,
  isNode,
  nameOf,
  type AstNode,
} from "./ast.js";
import {
  isDeclaredIn,
  Owners,
  readsOf,
  valueOf,
  variableOf,
  type Owner,
  type SourceCode,
  type Variable,
} from "./owners.js";

/** What makes an owner handle. */
const makers = new Set(["createScope", "selfCleaning"]);
/** Methods of a handle that keep what they are given. */
const keepers = new Set(["onCancel", "defer"]);

interface RuleContext {
  readonly sourceCode: SourceCode;
  readonly options: readonly unknown[];
  report(problem: { node: AstNode; messageId: string; data: Record<string, string> }): void;
}

/** A rule in the form that ESLint 9 and later, and oxlint's JS plugins, load. */
export interface Rule {
  readonly meta: object;
  create(context: RuleContext): Record<string, (node: AstNode) => void>;
}

/**
 * Finds the mistake that defeats the finalization fallback: a worker (or a builder, a cleanup, a callback) that
 * mentions the owner handle of its own scope, or the `this` that holds it. While the worker runs it keeps the
 * handle alive, so dropping the handle cancels nothing.
 */
export const noOwnerInWorker: Rule = {
  meta: {
    type: "problem",
    docs: {
      description: "disallow workers that keep the owner handle of their own scope alive",
      recommended: true,
    },
    messages: {
      owner:
        "{{name}} owns the scope that this function belongs to, and the function keeps it alive: dropping it cancels nothing. Mention the scope that a worker gets, or what the function needs of it.",
      holder:
        "this holds {{name}}, which owns the scope that this function belongs to: dropping it cancels nothing. Let the function know the state only, or use selfCleaning.",
    },
    schema: [
      {
        type: "object",
        properties: { modules: { type: "array", items: { type: "string" } } },
        additionalProperties: false,
      },
    ],
  },
  create: (context) => new Check(context).visitor(),
};

class Check {
  readonly #context: RuleContext;
  readonly #owners: Owners;
  readonly #modules: readonly string[];
  /** Local names of what is imported from bough, and of the module as a whole. */
  readonly #imported = new Map<string, string>();
  readonly #namespaces = new Set<string>();
  readonly #calls: AstNode[] = [];
  readonly #copies: (readonly [AstNode, AstNode | undefined])[] = [];

  constructor(context: RuleContext) {
    this.#context = context;
    this.#owners = new Owners(context.sourceCode);
    const { modules = [] } = (context.options[0] ?? {}) as { modules?: readonly string[] };
    this.#modules = ["bough", ...modules];
  }

  visitor(): Record<string, (node: AstNode) => void> {
    return {
      ImportDeclaration: (node) => this.#import(node),
      VariableDeclarator: (node) => {
        // What `await using` declares is closed.
        if (String(node.parent?.["kind"]).endsWith("using")) return;
        this.#assign(node["id"] as AstNode, node["init"]);
      },
      AssignmentExpression: (node) => this.#assign(node["left"] as AstNode, node["right"]),
      PropertyDefinition: (node) => this.#assign(node, node["value"]),
      CallExpression: (node) => void this.#calls.push(node),
      "Program:exit": () => this.#judge(),
    };
  }

  #import(node: AstNode): void {
    const from = String((node["source"] as AstNode)["value"]);
    if (!this.#modules.some((name) => from === name || from.startsWith(`${name}/`))) return;
    for (const specifier of node["specifiers"] as readonly AstNode[]) {
      const local = nameOf(specifier["local"]) ?? "";
      if (specifier.type === "ImportNamespaceSpecifier") this.#namespaces.add(local);
      else this.#imported.set(local, nameOf(specifier["imported"]) ?? local);
    }
  }

  #assign(target: AstNode, value: unknown): void {
    const made = bare(value);
    if (made?.type === "CallExpression" && makers.has(this.#calleeOf(made) ?? "")) this.#owners.add(target);
    else this.#copies.push([target, made]);
  }

  /** The name of the function of bough's that is called, if it is one. */
  #calleeOf(call: AstNode): string | undefined {
    const callee = bare(call["callee"]);
    if (callee?.type === "Identifier" && this.#isImport(callee))
      return this.#imported.get(callee["name"] as string);
    if (callee?.type !== "MemberExpression" || callee["computed"] === true) return undefined;
    const namespace = callee["object"] as AstNode;
    const isOurs = this.#namespaces.has(nameOf(namespace) ?? "") && this.#isImport(namespace);
    return isOurs ? nameOf(callee["property"]) : undefined;
  }

  /** Whether a name means what is imported here, not a variable that hides it. */
  #isImport(identifier: AstNode): boolean {
    return variableOf(this.#context.sourceCode, identifier)?.defs[0]?.type === "ImportBinding";
  }

  #judge(): void {
    for (const [target, value] of this.#copies) this.#owners.addCopy(target, value);
    for (const call of this.#calls) {
      const args = call["arguments"] as readonly AstNode[];
      const callee = this.#calleeOf(call);
      if (callee !== undefined && makers.has(callee)) {
        this.#judgeClosures(this.#owners.find(targetOf(call)), args);
      } else if (callee !== undefined) {
        this.#judgeClosures(this.#owners.find(args[0]), args.slice(1));
      } else {
        const method = bare(call["callee"]);
        if (method?.type === "MemberExpression" && keepers.has(nameOf(method["property"]) ?? "")) {
          this.#judgeClosures(this.#owners.find(method["object"]), args);
        }
      }
    }
  }

  #judgeClosures(owner: Owner | undefined, args: readonly AstNode[]): void {
    if (owner === undefined) return;
    for (const closure of args.flatMap((arg) => this.#closuresIn(arg))) {
      const mention = this.#mentionOf(owner, closure);
      if (mention !== undefined) {
        const messageId = mention.type === "ThisExpression" ? "holder" : "owner";
        this.#context.report({ node: mention, messageId, data: { name: owner.name } });
      }
    }
  }

  /** The functions that an argument is or contains, by name too, and `method.bind(this)`. */
  #closuresIn(argument: AstNode): AstNode[] {
    const at = bare(argument);
    if (at === undefined) return [];
    if (isFunction(at) || isBound(at)) return [at];
    if (at.type === "Identifier") {
      const value = valueOf(variableOf(this.#context.sourceCode, at));
      return value !== undefined && (isFunction(value) || isBound(value)) ? [value] : [];
    }
    if (at.type === "ArrayExpression")
      return (at["elements"] as readonly unknown[]).filter(isNode).flatMap((each) => this.#closuresIn(each));
    const inside = at.type === "ObjectExpression" ? (at["properties"] as readonly AstNode[]) : [];
    return inside.flatMap((property) =>
      isNode(property["value"]) ? this.#closuresIn(property["value"]) : [],
    );
  }

  /** What in an expression makes its value hold the owner handle; `undefined` if it may as well not hold it. */
  #holdIn(owner: Owner, expression: unknown): AstNode | undefined {
    const at = bare(expression);
    if (at === undefined) return undefined;
    if (isFunction(at)) return this.#mentionOf(owner, at);
    if (at.type === "ThisExpression")
      return owner.holder !== undefined && classOfThis(at) === owner.holder ? at : undefined;
    const parts = isBound(at) ? at["arguments"] : (at["elements"] ?? at["properties"]);
    if (Array.isArray(parts)) {
      const values = parts.map((part: AstNode | null) => (part?.type === "Property" ? part["value"] : part));
      return values.map((value) => this.#holdIn(owner, value)).find((found) => found !== undefined);
    }
    const variable = variableOf(this.#context.sourceCode, at);
    if (variable === undefined) return undefined;
    if (variable === owner.variable || this.#isAliasOf(owner, variable)) return at;
    const value = valueOf(variable);
    return value !== undefined && isFunction(value) ? this.#mentionOf(owner, value) : undefined;
  }

  #isAliasOf(owner: Owner, variable: Variable): boolean {
    const value = valueOf(variable);
    return (
      value?.type === "ThisExpression" && owner.holder !== undefined && classOfThis(value) === owner.holder
    );
  }

  #mentionOf(owner: Owner, closure: AstNode): AstNode | undefined {
    if (isBound(closure)) return this.#holdIn(owner, closure);
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
    const variable = variableOf(this.#context.sourceCode, identifier);
    const isMention = variable?.references.some((reference) => reference.identifier === identifier) === true;
    return isMention && valueOf(variable)?.type === "ThisExpression" ? variable.defs[0]?.node : undefined;
  }
}

/** What the result of a call is assigned to. */
function targetOf(call: AstNode): AstNode | undefined {
  let at: AstNode | null | undefined = call.parent;
  while (at !== null && at !== undefined && bare(at) === call) at = at.parent;
  if (at?.type === "VariableDeclarator") return at["id"] as AstNode;
  if (at?.type === "AssignmentExpression") return at["left"] as AstNode;
  return at?.type === "PropertyDefinition" ? at : undefined;
}

function isBound(node: AstNode): boolean {
  const callee = node.type === "CallExpression" ? bare(node["callee"]) : undefined;
  return callee?.type === "MemberExpression" && nameOf(callee["property"]) === "bind";
}
