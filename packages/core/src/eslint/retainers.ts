import {
  unwrap,
  classOfThis,
  contains,
  findThis,
  functionAround,
  isFunction,
  isOptions,
  isUnused,
  methodOf,
  nameOf,
  nodesIn,
  parentOf,
  returnedBy,
  rootOf,
  targetOf,
  valueOfNumber,
  type AstNode,
} from "./ast.js";
import { isEndedByMaker, isEnding, isHandedOver, isKnown } from "./handle-ends.js";
import type { LintedFile } from "./linted-file.js";
import { functionsOfHandles } from "./handle-functions.js";
import { isNullish, isOfModule, readsOf, variableOf, type Owner, type Variable } from "./owners.js";

/** Something that keeps an owner handle alive. */
export interface Retainer {
  readonly node: AstNode;
  readonly messageId: "listener" | "timer" | "value" | "sibling" | "stored" | "mutual";
  readonly data: Readonly<Record<string, string>>;
}

/** Functions that a long-lived object keeps. */
interface KeptClosures {
  readonly closures: readonly AstNode[];
  readonly messageId: "listener" | "timer";
  readonly by: string;
}

const globals = new Set(["process", "window", "document", "globalThis", "self", "global"]);
const listens = new Set([
  "on",
  "once",
  "addListener",
  "prependListener",
  "prependOnceListener",
  "addEventListener",
  "subscribe",
]);
const removes = new Set(["off", "removeListener", "removeEventListener", "unsubscribe"]);
const timers = new Set([
  "setInterval",
  "setTimeout",
  "setImmediate",
  "requestAnimationFrame",
  "requestIdleCallback",
]);
const stores = new Set(["push", "unshift", "add", "set"]);
/** A worker that sleeps at least this long counts as permanent, in ms. */
const LONG_SLEEP = 60_000;

/**
 * Finds code that keeps an owner handle alive from outside of its scope, or by the variables that its functions
 * share.
 */
export class RetainerFinder {
  readonly #file: LintedFile;
  readonly #owners: readonly Owner[];

  constructor(file: LintedFile) {
    this.#file = file;
    this.#owners = file.owners
      .all()
      .filter(({ variable }) => variable === undefined || !isEndedByMaker(variable));
  }

  *find(): Generator<Retainer> {
    const { calls, assignments } = this.#file;
    const functions = [...functionsOfHandles(this.#file)];
    for (const call of calls) {
      const kept = this.#closuresKeptBy(call);
      for (const owner of [...this.#owners, ...functions]) {
        if (kept !== undefined) yield* this.#keeps(owner, kept);
      }
      for (const owner of functions) yield* this.#stores(owner, call);
      yield* this.#contextValue(call);
    }
    for (const [target, value] of assignments) {
      if (value === undefined || !this.#isLongLived(rootOf(target))) continue;
      for (const owner of functions) yield* this.#stored(owner, value);
      const kept = this.#handlerIn(target, value);
      if (kept !== undefined) for (const owner of this.#owners) yield* this.#keeps(owner, kept);
    }
    for (const owner of this.#owners) {
      if (owner.variable !== undefined && !isOfModule(owner.variable))
        yield* this.#siblings(owner, owner.variable);
      if (owner.holder !== undefined) yield* this.#siblingsOfThis(owner);
    }
    yield* this.#mutual();
  }

  // --- listeners and timers -------------------------------------------------------------------------------------

  /** The functions that a call registers with a long-lived object: an emitter or a timer. */
  #closuresKeptBy(call: AstNode): KeptClosures | undefined {
    const args = call["arguments"] as readonly AstNode[];
    const timer = this.#timerOf(call);
    if (timer !== undefined) {
      const closures = this.#file.references.closuresIn(args[0] as AstNode);
      const repeats = timer === "setInterval" || closures.some((closure) => contains(closure, call));
      return repeats && !this.#isStopped(call) ? { closures, messageId: "timer", by: timer } : undefined;
    }
    const method = methodOf(call);
    if (method === undefined || !listens.has(method.name) || !this.#isLongLived(rootOf(method.object)))
      return undefined;
    if (!isUnused(call) || args.some((arg) => this.#isRemovable(arg))) return undefined;
    const closures = args.flatMap((arg) => (isOptions(arg) ? [] : this.#file.references.closuresIn(arg)));
    return { closures, messageId: "listener", by: nameOf(rootOf(method.object)) ?? "" };
  }

  /** `window.onunload = () => …`, unless another assignment removes it. */
  #handlerIn(target: AstNode, value: AstNode): KeptClosures | undefined {
    const name = target.type === "MemberExpression" ? nameOf(target["property"]) : undefined;
    if (name === undefined || !/^on[a-z]/.test(name)) return undefined;
    const isTakenAway = this.#file.assignments.some(
      ([other, none]) =>
        other !== target &&
        other.type === "MemberExpression" &&
        nameOf(other["property"]) === name &&
        isNullish(none),
    );
    if (isTakenAway) return undefined;
    const by = nameOf(rootOf(target)) ?? "";
    return { closures: this.#file.references.closuresIn(value), messageId: "listener", by };
  }

  *#keeps(owner: Owner, { closures, messageId, by }: KeptClosures): Generator<Retainer> {
    for (const closure of closures) {
      const node = this.#file.references.referenceInClosure(owner, closure);
      if (node === undefined) continue;
      // A module-level handle lives as long as the module, unless only this function refers to it.
      const { variable } = owner;
      if (variable !== undefined && isOfModule(variable) && (isEnding(closure) || isKnown(variable, closure)))
        continue;
      yield { node, messageId, data: { name: owner.name, by } };
    }
  }

  #timerOf(call: AstNode): string | undefined {
    const callee = unwrap(call["callee"]);
    const method = methodOf(call);
    const defs = callee?.type === "Identifier" ? (variableOf(this.#file.source, callee)?.defs ?? []) : [];
    const isGlobal =
      callee?.type === "Identifier"
        ? defs.every(({ type }) => type === "ImportBinding")
        : method !== undefined && globals.has(nameOf(method.object) ?? "");
    // `import { setInterval as every } from "node:timers"`
    const name = method?.name ?? nameOf(defs[0]?.node["imported"]) ?? nameOf(callee);
    return isGlobal && timers.has(name ?? "") ? name : undefined;
  }

  /** Whether a timer may be stopped by something other than the end of the scope. */
  #isStopped(call: AstNode): boolean {
    if (isUnused(call)) return false;
    const target = targetOf(call);
    const variable = variableOf(this.#file.source, unwrap(target));
    if (variable === undefined) return true;
    return readsOf(variable).some((read) => {
      const at = parentOf(read);
      if (at?.type === "VariableDeclarator" || (at?.type === "AssignmentExpression" && at["left"] === read))
        return false;
      if (
        at?.type === "MemberExpression" &&
        ["unref", "ref", "hasRef"].includes(nameOf(at["property"]) ?? "")
      )
        return false;
      return !this.#runsAtTheEnd(read);
    });
  }

  /** A listener that has a name may be removed by its name, and a listener with another signal by that signal. */
  #isRemovable(argument: AstNode): boolean {
    const at = unwrap(argument);
    if (at?.type === "ObjectExpression") {
      const signal = (at["properties"] as readonly AstNode[]).find(
        (property) => nameOf(property["key"]) === "signal",
      );
      return signal !== undefined && this.#file.owners.find(rootOf(signal["value"])) === undefined;
    }
    const variable = variableOf(this.#file.source, at);
    return (
      variable !== undefined &&
      readsOf(variable).some((read) => {
        const call = parentOf(read);
        const isRemoval = call?.type === "CallExpression" && removes.has(methodOf(call)?.name ?? "");
        return isRemoval && !this.#runsAtTheEnd(read);
      })
    );
  }

  /** Whether a node stands in a cleanup of a scope with an owner, which never runs while the handle is kept. */
  #runsAtTheEnd(node: AstNode): boolean {
    const own = functionAround(node);
    const call = own === undefined ? undefined : parentOf(own);
    if (call?.type !== "CallExpression") return false;
    const method = methodOf(call);
    return (
      method !== undefined &&
      (method.name === "defer" || method.name === "onCancel") &&
      this.#file.owners.find(method.object) !== undefined
    );
  }

  /** Whether a name means something that lives as long as the program. */
  #isLongLived(root: AstNode | undefined): boolean {
    if (root?.type !== "Identifier") return false;
    const variable = variableOf(this.#file.source, root);
    const definition = variable?.defs[0];
    if (variable === undefined || definition === undefined) return true; // a global
    if (this.#file.owners.find(root) !== undefined) return false;
    return definition.type === "ImportBinding" || (definition.type === "Variable" && isOfModule(variable));
  }

  // --- references that a scope keeps ------------------------------------------------------------------------------

  *#contextValue(call: AstNode): Generator<Retainer> {
    const method = methodOf(call);
    const owner = method?.name === "set" ? this.#file.owners.find(method.object) : undefined;
    const value = (call["arguments"] as readonly AstNode[])[1];
    if (owner === undefined || value === undefined) return;
    if (owner.variable !== undefined && isEndedByMaker(owner.variable)) return;
    const node = this.#file.references.referenceIn(owner, value);
    if (node !== undefined) yield { node, messageId: "value", data: { name: owner.name } };
  }

  // --- functions of a handle --------------------------------------------------------------------------------------

  /** `registry.push(get)` */
  *#stores(owner: Owner, call: AstNode): Generator<Retainer> {
    const method = methodOf(call);
    const args = call["arguments"] as readonly AstNode[];
    const timer = this.#timerOf(call);
    if (timer === "setInterval" && !this.#isStopped(call)) yield* this.#stored(owner, args[0]);
    if (method === undefined || !this.#isLongLived(rootOf(method.object))) return;
    if (!stores.has(method.name) && !(listens.has(method.name) && isUnused(call))) return;
    for (const arg of args) if (!this.#isRemovable(arg)) yield* this.#stored(owner, arg);
  }

  *#stored(owner: Owner, value: AstNode | undefined): Generator<Retainer> {
    const at = unwrap(value);
    if (at === undefined || isFunction(at)) return;
    const node = this.#file.references.referenceIn(owner, at);
    if (node !== undefined) yield { node, messageId: "stored", data: { name: owner.name } };
  }

  // --- closures that share their variables ------------------------------------------------------------------------

  *#siblings(owner: Owner, variable: Variable): Generator<Retainer> {
    const { block } = variable.scope;
    const home = functionAround(variable.defs[0]?.node ?? block);
    const lasting = [...this.#lasting(owner)].find(
      (closure) => closure !== block && contains(block, closure),
    );
    if (lasting === undefined) return;
    if (this.#file.references.referenceInClosure(owner, lasting) !== undefined) return; // reported already
    for (const read of readsOf(variable)) {
      const own = functionAround(read);
      if (own === undefined || own === home || isHandedOver(own)) continue;
      yield { node: read, messageId: "sibling", data: { name: owner.name, line: lineOf(lasting) } };
      return;
    }
  }

  *#siblingsOfThis(owner: Owner): Generator<Retainer> {
    for (const lasting of this.#lasting(owner)) {
      const method = methodAround(lasting);
      if (method === undefined || classOfThis(lasting) !== owner.holder || findThis(lasting) !== undefined)
        continue;
      const others = [...nodesIn(method)].filter(
        (node) =>
          node.type === "ArrowFunctionExpression" && methodAround(node) === method && node !== lasting,
      );
      const other = others.find((node) => !isHandedOver(node) && findThis(node) !== undefined);
      if (other === undefined) continue;
      const node = findThis(other) as AstNode;
      yield { node, messageId: "sibling", data: { name: owner.name, line: lineOf(lasting) } };
    }
  }

  /**
   * The workers of an owner's scope that run as long as the scope does, and the functions that timers and emitters
   * keep.
   */
  *#lasting(owner: Owner): Generator<AstNode> {
    for (const call of this.#file.calls) {
      const kept = this.#closuresKeptBy(call);
      if (kept !== undefined) yield* kept.closures.filter(isFunction);
      if (this.#file.calleeOf(call) === undefined) continue;
      const [scope, ...rest] = call["arguments"] as readonly AstNode[];
      if (!this.#isScopeOf(owner, scope)) continue;
      for (const closure of rest.flatMap((arg) => this.#file.references.closuresIn(arg)))
        if (isFunction(closure) && this.#isEndless(closure)) yield closure;
    }
  }

  /** Whether an expression is an owner handle, or the scope that the builder of one gets. */
  #isScopeOf(owner: Owner, expression: AstNode | undefined): boolean {
    const found = this.#file.owners.find(expression);
    if (found !== undefined)
      return owner.variable === undefined ? found.holder === owner.holder : found.variable === owner.variable;
    const definition = variableOf(this.#file.source, unwrap(expression))?.defs[0];
    if (definition?.type !== "Parameter") return false;
    const call = parentOf(definition.node);
    if (call?.type !== "CallExpression" || this.#file.calleeOf(call) !== "selfCleaning") return false;
    const made = this.#file.owners.find(targetOf(call));
    return owner.variable === undefined ? made?.holder === owner.holder : made?.variable === owner.variable;
  }

  /** Whether a worker certainly waits repeatedly, or for a long time. */
  #isEndless(worker: AstNode): boolean {
    if (worker["async"] !== true && worker["generator"] !== true) return false;
    const isOwn = (node: AstNode): boolean => node === worker || !isFunction(node);
    for (const node of nodesIn(worker, isOwn)) {
      if (node.type === "ForOfStatement" && node["await"] === true) return true;
      if (/^(?:For|While|DoWhile)/.test(node.type)) {
        for (const inner of nodesIn(node, isOwn)) if (waits(inner)) return true;
      }
      if (node.type === "AwaitExpression" && this.#isLongSleep(unwrap(node["argument"]))) return true;
    }
    return false;
  }

  /** `sleep(scope, 3_600_000)`, or a call of a function here that returns it. */
  #isLongSleep(call: AstNode | undefined): boolean {
    if (call?.type !== "CallExpression") return false;
    if (this.#file.calleeOf(call) === "sleep")
      return valueOfNumber((call["arguments"] as readonly AstNode[])[1]) >= LONG_SLEEP;
    const [callee] = this.#file.references.closuresIn(call["callee"] as AstNode);
    const sleeps = callee === undefined ? undefined : returnedBy(callee);
    return (
      sleeps?.type === "CallExpression" &&
      this.#file.calleeOf(sleeps) === "sleep" &&
      this.#isLongSleep(sleeps)
    );
  }

  // --- handles that hold each other -----------------------------------------------------------------------------

  /** Workers that mention each other's handle. (`a.peer = b; b.peer = a` is collected: each gets a weak handle of the other.) */
  *#mutual(): Generator<Retainer> {
    const held = new Map<Variable, Map<Variable, AstNode>>();
    const note = (from: Variable, to: Variable, node: AstNode): void => {
      const known = held.get(from) ?? new Map<Variable, AstNode>();
      held.set(from, known.set(to, node));
    };
    for (const call of this.#file.calls) {
      if (this.#file.calleeOf(call) === undefined) continue;
      const [scope, ...rest] = call["arguments"] as readonly AstNode[];
      for (const owner of this.#owners) {
        if (owner.variable === undefined || !this.#isScopeOf(owner, scope)) continue;
        for (const closure of rest.flatMap((arg) => this.#file.references.closuresIn(arg)))
          for (const other of this.#owners) {
            if (other.variable === undefined || other.variable === owner.variable) continue;
            const node = this.#file.references.referenceInClosure(
              { name: "", variable: other.variable },
              closure,
            );
            if (node !== undefined) note(owner.variable, other.variable, node);
          }
      }
    }
    for (const [from, others] of held)
      for (const [to, node] of others)
        if (held.get(to)?.has(from) === true && !isOfModule(from) && !isOfModule(to))
          yield { node, messageId: "mutual", data: { name: from.name, other: to.name } };
  }
}

/** The method or function whose `this` a closure has. */
function methodAround(closure: AstNode): AstNode | undefined {
  let at = functionAround(closure);
  while (at?.type === "ArrowFunctionExpression") at = functionAround(at);
  return at;
}

function waits({ type }: AstNode): boolean {
  return type === "AwaitExpression" || type === "YieldExpression";
}

function lineOf(node: AstNode): string {
  const { loc } = node as { loc?: { start: { line: number } } };
  return loc === undefined ? "?" : String(loc.start.line);
}
