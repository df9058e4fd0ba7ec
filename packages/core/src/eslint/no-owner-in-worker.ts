import { unwrap, isUnused, keyOf, methodOf, nameOf, targetOf, type AstNode } from "./ast.js";
import { isEndedByMaker, isKnown } from "./handle-ends.js";
import { isOfModule, Owners, readsOf, variableOf, type Owner, type SourceCode } from "./owners.js";
import { RetainerFinder } from "./retainers.js";
import { ReferenceFinder } from "./reference-finder.js";

/** Functions that make an owner handle. */
const makers = new Set(["createScope", "selfCleaning"]);
/** Methods of a handle that keep their argument. */
const callbackMethods = new Set(["onCancel", "defer"]);

interface RuleContext {
  readonly sourceCode: SourceCode;
  readonly options: readonly unknown[];
  report(problem: { node: AstNode; messageId: string; data: Readonly<Record<string, string>> }): void;
}

/** A rule in the form that ESLint 9 and later, and oxlint's JS plugins, load. */
export interface Rule {
  readonly meta: object;
  create(context: RuleContext): Record<string, (node: AstNode) => void>;
}

/**
 * Finds references that keep an owner handle alive, so that dropping the handle cancels nothing:
 *
 * - a worker, builder, cleanup or callback mentions the owner handle of its own scope, or the `this` that holds it;
 * - code outside of the scope keeps the handle; see `RetainerFinder`.
 *
 * Code that might not keep the handle alive is not flagged: `test/lint-gc.test.ts` lints code and runs it.
 */
export const noOwnerInWorker: Rule = {
  meta: {
    type: "problem",
    docs: {
      description: "disallow what keeps the owner handle of a scope alive: its workers, listeners, timers",
      recommended: true,
    },
    messages: {
      owner:
        "{{name}} owns the scope that this function belongs to, and the function keeps it alive: dropping it cancels nothing. Use the scope that a worker gets, or pass the function only the values that it needs.",
      holder:
        "this holds {{name}}, which owns the scope that this function belongs to: dropping it cancels nothing. Pass the function only the state, or use selfCleaning.",
      listener:
        "{{by}} keeps this listener, and the listener keeps {{name}}: dropping it cancels nothing. Use the scope of a worker instead, or remove the listener where you close the handle.",
      timer:
        "{{by}} keeps this function, and the function keeps {{name}}: dropping it cancels nothing. Let a worker wait with sleep or ticker, or clear the timer where you close the handle.",
      value:
        "The scope keeps this context value, and the value keeps {{name}}, the owner of that scope: dropping it cancels nothing. Store the scope of a worker there, or only the values that are needed.",
      sibling:
        "This function makes {{name}} a variable that the function in line {{line}} keeps, too, since the functions made in one call share their variables: dropping it cancels nothing. Start the worker in a function of its own that gets the scope.",
      stored:
        "{{name}} is a function of a handle, bound to it: as long as it is stored here, dropping the handle cancels nothing. Store the result of the function, or call it where the handle is.",
      mutual:
        "{{name}} and {{other}} keep each other: dropping both cancels neither. Pass one only the values that it needs of the other, or close them.",
    },
    schema: [
      {
        type: "object",
        properties: { modules: { type: "array", items: { type: "string" } } },
        additionalProperties: false,
      },
    ],
  },
  create: (context) => new RuleRun(context).visitor(),
};

class RuleRun {
  readonly #context: RuleContext;
  readonly #owners: Owners;
  readonly #references: ReferenceFinder;
  readonly #modules: readonly string[];
  /** Local names of the imports from bough, and of the module as a whole. */
  readonly #imported = new Map<string, string>();
  readonly #namespaces = new Set<string>();
  readonly #calls: AstNode[] = [];
  readonly #copies: (readonly [AstNode, AstNode | undefined])[] = [];
  readonly #assignments: (readonly [AstNode, AstNode | undefined])[] = [];
  readonly #reported = new Set<AstNode>();

  constructor(context: RuleContext) {
    this.#context = context;
    this.#owners = new Owners(context.sourceCode);
    this.#references = new ReferenceFinder(context.sourceCode);
    const { modules = [] } = (context.options[0] ?? {}) as { modules?: readonly string[] };
    this.#modules = ["bough", ...modules];
  }

  visitor(): Record<string, (node: AstNode) => void> {
    return {
      ImportDeclaration: (node) => this.#import(node),
      TSImportEqualsDeclaration: (node) => {
        const { expression } = node["moduleReference"] as { expression?: unknown };
        if (this.#isOurs(expression)) this.#namespaces.add(nameOf(node["id"]) ?? "");
      },
      VariableDeclarator: (node) => {
        // A handle that `await using` declares is closed.
        if (String(node.parent?.["kind"]).endsWith("using")) return;
        this.#require(node["id"] as AstNode, node["init"]);
        this.#assign(node["id"] as AstNode, node["init"]);
      },
      AssignmentExpression: (node) => this.#assign(node["left"] as AstNode, node["right"]),
      PropertyDefinition: (node) => this.#assign(node, node["value"]),
      CallExpression: (node) => void this.#calls.push(node),
      "Program:exit": () => this.#check(),
    };
  }

  #import(node: AstNode): void {
    if (!this.#isOurs(node["source"])) return;
    for (const specifier of node["specifiers"] as readonly AstNode[]) {
      const local = nameOf(specifier["local"]) ?? "";
      if (specifier.type === "ImportNamespaceSpecifier") this.#namespaces.add(local);
      else this.#imported.set(local, nameOf(specifier["imported"]) ?? local);
    }
  }

  #isOurs(source: unknown): boolean {
    const from = String((source as AstNode | undefined)?.["value"]);
    return this.#modules.some((name) => from === name || from.startsWith(`${name}/`));
  }

  /** `const { spawn } = require("bough")`, `const spawn = require("bough").spawn` */
  #require(target: AstNode, value: unknown): void {
    if (!this.#isRequire(value)) return;
    const [name, member] = [nameOf(target), unwrap(value)?.["property"]];
    if (name !== undefined && member === undefined) this.#namespaces.add(name);
    if (name !== undefined && member !== undefined) this.#imported.set(name, keyOf(member) ?? name);
    if (member !== undefined || target.type !== "ObjectPattern") return;
    for (const property of target["properties"] as readonly AstNode[]) {
      const local = nameOf(property["value"]);
      if (local !== undefined) this.#imported.set(local, keyOf(property["key"]) ?? local);
    }
  }

  /** Whether the value is `require("bough")`, or a member of it. */
  #isRequire(value: unknown): boolean {
    const at = unwrap(value);
    const call = at?.type === "MemberExpression" ? unwrap(at["object"]) : at;
    if (call?.type !== "CallExpression" || nameOf(call["callee"]) !== "require") return false;
    return this.#isOurs((call["arguments"] as readonly AstNode[])[0]);
  }

  #assign(target: AstNode, value: unknown): void {
    const made = unwrap(value);
    this.#assignments.push([target, made]);
    if (made?.type === "CallExpression" && makers.has(this.#calleeOf(made) ?? "")) this.#owners.add(target);
    else this.#copies.push([target, made]);
  }

  /** The name of the bough function that is called; `undefined` for any other call. */
  #calleeOf(call: AstNode): string | undefined {
    const callee = unwrap(call["callee"]);
    if (callee?.type === "Identifier" && this.#isImport(callee))
      return this.#imported.get(callee["name"] as string);
    if (callee?.type !== "MemberExpression" || callee["computed"] === true) return undefined;
    const namespace = callee["object"] as AstNode;
    const isOurs = this.#namespaces.has(nameOf(namespace) ?? "") && this.#isImport(namespace);
    return isOurs ? nameOf(callee["property"]) : undefined;
  }

  /** Whether a name refers to the import, and not to a variable that hides it. */
  #isImport(identifier: AstNode): boolean {
    const definition = variableOf(this.#context.sourceCode, identifier)?.defs[0];
    return definition?.type === "ImportBinding" || this.#isRequire(definition?.node["init"]);
  }

  #check(): void {
    if (this.#imported.size === 0 && this.#namespaces.size === 0) return;
    for (const [target, value] of this.#copies) this.#owners.addCopy(target, value);
    for (const call of this.#calls) this.#checkCall(call);
    const retainers = new RetainerFinder({
      source: this.#context.sourceCode,
      owners: this.#owners,
      references: this.#references,
      calls: this.#calls,
      assignments: this.#assignments,
      calleeOf: (call) => this.#calleeOf(call),
    });
    for (const { node, messageId, data } of retainers.find()) this.#report(node, messageId, data);
  }

  #checkCall(call: AstNode): void {
    const args = call["arguments"] as readonly AstNode[];
    const callee = this.#calleeOf(call);
    if (callee === "createScope") return this.#checkClosures(this.#owners.find(targetOf(call)), args);
    if (callee === "selfCleaning") return this.#checkSelfCleaning(call, args);
    if (callee !== undefined) return this.#checkClosures(this.#owners.find(args[0]), args.slice(1));
    const method = methodOf(call);
    if (method === undefined) return;
    if (callbackMethods.has(method.name) && !this.#isRemoved(call))
      this.#checkClosures(this.#owners.find(method.object), args);
    const { object } = method;
    if (
      method.name === "addEventListener" &&
      object.type === "MemberExpression" &&
      nameOf(object["property"]) === "signal"
    )
      this.#checkClosures(this.#owners.find(object["object"]), args);
  }

  /** Whether the result of `onCancel`, which removes the callback, is used. */
  #isRemoved(call: AstNode): boolean {
    if (isUnused(call)) return false;
    const variable = variableOf(this.#context.sourceCode, unwrap(targetOf(call)));
    return variable === undefined || readsOf(variable).length > 1;
  }

  /** Its workers run below the parent, if it has one, so they must not refer to the parent's owner either. */
  #checkSelfCleaning(call: AstNode, args: readonly AstNode[]): void {
    const build = this.#references.builderIn(args);
    const [parent] = args;
    const fromBuild = build === undefined ? args : args.slice(args.indexOf(build));
    this.#checkBuilder(this.#owners.find(targetOf(call)), fromBuild);
    if (parent !== build) this.#checkBuilder(this.#owners.find(parent), fromBuild);
  }

  /**
   * The functions that run in the scope, such as a worker or a cleanup, keep the variables that the builder mentions
   * alive. A method alone does not.
   */
  #checkBuilder(owner: Owner | undefined, [build, ...options]: readonly AstNode[]): void {
    if (build === undefined) return;
    this.#checkClosures(owner, options);
    for (const builder of this.#references.closuresIn(build)) {
      const [scope] = (builder["params"] as readonly AstNode[] | undefined) ?? [];
      const variable = variableOf(this.#context.sourceCode, scope);
      if (variable === undefined) continue;
      for (const call of this.#calls) {
        const args = call["arguments"] as readonly AstNode[];
        const isOf = (node: AstNode | undefined): boolean =>
          variableOf(this.#context.sourceCode, unwrap(node)) === variable;
        const method = methodOf(call);
        if (this.#calleeOf(call) !== undefined && isOf(args[0])) this.#checkClosures(owner, args.slice(1));
        else if (method !== undefined && callbackMethods.has(method.name) && isOf(method.object))
          this.#checkClosures(owner, args);
      }
    }
  }

  #checkClosures(owner: Owner | undefined, args: readonly AstNode[]): void {
    if (owner === undefined || (owner.variable !== undefined && isEndedByMaker(owner.variable))) return;
    for (const closure of args.flatMap((arg) => this.#references.closuresIn(arg))) {
      const reference = this.#references.referenceInClosure(owner, closure);
      if (reference === undefined) continue;
      // A module-level handle that other functions use is meant to live as long as the module.
      if (owner.variable !== undefined && isOfModule(owner.variable) && isKnown(owner.variable, closure))
        continue;
      this.#report(reference, reference.type === "ThisExpression" ? "holder" : "owner", { name: owner.name });
    }
  }

  /** Reports each reference once: the first report is the closest to the cause. */
  #report(node: AstNode, messageId: string, data: Readonly<Record<string, string>>): void {
    if (this.#reported.has(node)) return;
    this.#reported.add(node);
    this.#context.report({ node, messageId, data });
  }
}
