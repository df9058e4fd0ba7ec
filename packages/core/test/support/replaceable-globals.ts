import type { Node } from "./architecture.js";

/** Globals that tests replace: `src/kernel/platform.ts` has the table. */
const globals = new Set([
  "setTimeout",
  "clearTimeout",
  "setInterval",
  "clearInterval",
  "setImmediate",
  "clearImmediate",
  "queueMicrotask",
  "performance",
  "MessageChannel",
]);

const members: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ["process", new Set(["nextTick", "hrtime"])],
  ["Date", new Set(["now"])],
  ["globalThis", globals],
]);

const modules = new Set(["node:timers", "node:timers/promises", "node:perf_hooks"]);

/** The files that may use them: the module that takes them for all others, and those that install a fake clock. */
const mayUse = new Set([
  "kernel/platform.ts",
  "testing/clock/fake-timers.ts",
  "testing/clock/platform-time.ts",
  "testing/clock/virtual-clock.ts",
  "testing/clock/virtual-timer.ts",
  "testing/clock/idle-watch.ts", // the event loop's counters of `node:perf_hooks`
  "inspector/local-source.ts", // the delay of the event loop, of `node:perf_hooks`
]);

/** The use of such a global by a node of the syntax tree, in words. */
export function globalsBreach(node: Node, parent: Node | undefined, path: string): string | undefined {
  if (mayUse.has(path)) return undefined;
  const used = usedGlobal(node, parent);
  return used === undefined
    ? undefined
    : `uses ${used}, which tests replace: take it from kernel/platform.ts`;
}

function usedGlobal(node: Node, parent: Node | undefined): string | undefined {
  switch (node.type) {
    case "Identifier":
      return globals.has(nameOf(node)) && isReference(node, parent) ? nameOf(node) : undefined;
    case "MemberExpression": {
      const [object, property] = [nameOf(node["object"]), nameOf(node["property"])];
      return members.get(object)?.has(property) === true ? `${object}.${property}` : undefined;
    }
    case "VariableDeclarator": {
      const object = nameOf(node["init"] ?? {});
      const { properties = [] } = node["id"] as { properties?: { key?: unknown }[] };
      const keys = properties.map(({ key }) => nameOf(key ?? {}));
      const used = keys.find((key) => members.get(object)?.has(key) === true);
      return used === undefined ? undefined : `${object}.${used}`;
    }
    case "NewExpression":
    case "CallExpression": {
      const isNow = nameOf(node["callee"]) === "Date" && (node["arguments"] as unknown[]).length === 0;
      return isNow ? "Date()" : undefined;
    }
    case "ImportDeclaration": {
      const from = (node["source"] as { value: string }).value;
      return modules.has(from) ? from : undefined;
    }
    default:
      return undefined;
  }
}

/** Not the name of a member or of a type. */
function isReference(node: Node, parent: Node | undefined): boolean {
  if (parent === undefined || parent.type.startsWith("TS")) return false;
  if (parent.type === "MemberExpression") return parent["object"] === node || parent["computed"] === true;
  const isKey = parent["key"] === node && parent["computed"] !== true;
  return !isKey;
}

function nameOf(node: unknown): string {
  const { type, name } = node as { type?: string; name?: string };
  return type === "Identifier" && name !== undefined ? name : "";
}
