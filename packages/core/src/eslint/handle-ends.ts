import {
  contains,
  functionAround,
  isFunction,
  methodOf,
  nameOf,
  nodesIn,
  parentOf,
  type AstNode,
} from "./ast.js";
import { readsOf, type Variable } from "./owners.js";

/** Methods by which an owner ends its scope, or waits for it. */
const endingMethods = new Set(["close", "cancel", "join", "shutdown", "asyncDispose", "dispose"]);
/** Methods of a stack or of another scope that end their argument. */
const disposingMethods = new Set(["use", "adopt", "defer"]);

/**
 * Whether the function that has made a handle also ends it: it closes the handle, waits for it, or passes it to code
 * that does. Then the finalization fallback is not needed.
 */
export function isEndedByMaker(variable: Variable): boolean {
  const definition = variable.defs[0]?.node;
  if (definition === undefined) return false;
  const home = functionAround(definition);
  return readsOf(variable).some((read) => {
    const call = parentOf(read);
    const own = functionAround(read);
    if (own === home) {
      if (isEnd(read)) return true;
      if (
        call?.type === "CallExpression" &&
        (nameOf(call["callee"]) === "close" || disposesOf(call, variable))
      )
        return true;
      // `await using closed = handle`
      return call?.type === "VariableDeclarator" && String(call.parent?.["kind"]).endsWith("using");
    }
    const taker = own === undefined ? undefined : parentOf(own);
    return taker?.type === "CallExpression" && functionAround(taker) === home && disposesOf(taker, variable);
  });
}

/** `read.close()` and the like. */
function isEnd(read: AstNode): boolean {
  const member = parentOf(read);
  const call = member === undefined ? undefined : parentOf(member);
  if (member?.type !== "MemberExpression" || call?.type !== "CallExpression") return false;
  const method = methodOf(call);
  return method !== undefined && contains(method.object, read) && endingMethods.has(method.name);
}

function disposesOf(call: AstNode, variable: Variable): boolean {
  const method = methodOf(call);
  return method !== undefined && disposingMethods.has(method.name) && nameOf(method.object) !== variable.name;
}

/** Whether a function ends a scope or an object: `() => handle.close()`, `() => this.stop()`. */
export function isEnding(closure: AstNode): boolean {
  for (const node of nodesIn(closure)) {
    if (node.type !== "CallExpression") continue;
    const name = methodOf(node)?.name ?? nameOf(node["callee"]);
    if (name !== undefined && (endingMethods.has(name) || name === "stop" || name === "destroy")) return true;
  }
  return false;
}

/**
 * Whether a function that ends a scope is passed to code that will call it: `onCleanup(() => handle.close())`, or the
 * cleanup that an effect of a framework returns.
 */
export function isHandedOver(closure: AstNode): boolean {
  const at = parentOf(closure);
  if (at?.type === "CallExpression" && at["callee"] !== closure) return isEnding(closure);
  const returns =
    at?.type === "ReturnStatement" || (at !== undefined && isFunction(at) && at["body"] === closure);
  if (!returns) return false;
  const maker = functionAround(closure);
  const call = maker === undefined ? undefined : parentOf(maker);
  return call?.type === "CallExpression" && isEnding(closure);
}

/** Whether code outside `closure` mentions a variable of the module: it is exported, or used in another function. */
export function isKnown(variable: Variable, closure: AstNode): boolean {
  const declaration = variable.defs[0]?.node.parent?.parent;
  if (declaration?.type === "ExportNamedDeclaration") return true;
  return readsOf(variable).some((read) => {
    if (contains(closure, read)) return false;
    return functionAround(read) !== undefined || parentOf(read)?.type.startsWith("Export") === true;
  });
}
