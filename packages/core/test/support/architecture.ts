import { isBuiltin } from "node:module";
import { posix } from "node:path";
import { parseSync } from "oxc-parser";
import { globalsBreach } from "./replaceable-globals.js";

/** Source files by their path below `src`, with forward slashes. */
export type Sources = ReadonlyMap<string, string>;

/** The layers, lowest first; a file may import from its own layer and from those before it. */
const layers: readonly (readonly string[])[] = [
  ["errors"],
  ["kernel"],
  ["task"],
  ["flow"],
  ["resources"],
  // The public entry `src/index.ts`: made of the layers below, used by those above.
  ["."],
  ["inspect", "testing", "adapter"],
  ["recorder"],
  ["streams"],
  ["remote"],
  [
    "http",
    "express",
    "fastify",
    "nest",
    "web",
    "process",
    "ambient",
    "vitest",
    "eslint",
    "effection",
    "pg-boss",
    "bullmq",
  ],
  ["inspector"],
  ["cli"],
];

/** These run in browsers, Bun and Deno. */
const portable = new Set([
  "errors",
  "kernel",
  "task",
  "flow",
  "resources",
  ".",
  "inspect",
  "recorder",
  "adapter",
  "streams",
  "web",
  "effection",
]);

/** Entries whose host loads a default export: Fastify's autoload and ESLint's plugins. */
const mayExportDefault = new Set(["fastify/index.ts", "eslint/index.ts"]);

const maxLines = 400;

interface Import {
  readonly from: string;
}

interface ParsedFile {
  readonly imports: readonly Import[];
  readonly breaches: readonly string[];
}

/** A node of the syntax tree. */
export interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}

/**
 * Everything in `sources` that breaks a rule of the architecture, one line each; empty when all is well.
 *
 * @throws {Error} If there are no files: a check that looked at nothing has not passed.
 */
export function findBreaches(sources: Sources): string[] {
  if (sources.size === 0) throw new Error("No source files to check");
  const files = new Map<string, ParsedFile>();
  for (const [path, text] of sources) files.set(path, parse(path, text));
  const breaches: string[] = [];
  for (const [path, file] of files) {
    breaches.push(...file.breaches.map((breach) => `${path}: ${breach}`));
    breaches.push(...importBreaches(path, file, sources).map((breach) => `${path}: ${breach}`));
  }
  return [...breaches, ...findCycles(files)];
}

const layerOf = (path: string): string => (path.includes("/") ? path.slice(0, path.indexOf("/")) : ".");
const rankOf = (layer: string): number => layers.findIndex((names) => names.includes(layer));

function importBreaches(path: string, file: ParsedFile, sources: Sources): string[] {
  const layer = layerOf(path);
  if (rankOf(layer) < 0) return [`folder ${layer} belongs to no layer`];
  if (layer === "." && path !== "index.ts") return ["only index.ts stands outside the layers"];
  const breaches: string[] = [];
  for (const { from } of file.imports) {
    if (!from.startsWith(".")) {
      if (isBuiltin(from) && portable.has(layer)) breaches.push(`imports ${from}, which only Node has`);
      continue;
    }
    const target = resolve(path, from);
    if (!sources.has(target)) breaches.push(`imports ${from}, which is not a source file`);
    else if (rankOf(layerOf(target)) > rankOf(layer)) breaches.push(`imports upwards, from ${target}`);
  }
  return breaches;
}

/** `./errors.js` in `kernel/tree.ts` is `kernel/errors.ts`. */
function resolve(path: string, from: string): string {
  return posix.join(posix.dirname(path), from).replace(/\.js$/, ".ts");
}

/** Cycles of imports, type-only ones included. Files in a cycle can only be understood together. */
function findCycles(files: ReadonlyMap<string, ParsedFile>): string[] {
  const done = new Set<string>();
  const trail: string[] = [];
  const cycles: string[] = [];
  const visit = (path: string): void => {
    const start = trail.indexOf(path);
    if (start >= 0) cycles.push(`import cycle: ${[...trail.slice(start), path].join(" → ")}`);
    if (start >= 0 || done.has(path)) return;
    trail.push(path);
    for (const { from } of files.get(path)?.imports ?? []) {
      if (from.startsWith(".")) visit(resolve(path, from));
    }
    trail.pop();
    done.add(path);
  };
  for (const path of files.keys()) visit(path);
  return cycles;
}

function parse(path: string, text: string): ParsedFile {
  const { program, errors } = parseSync(path, text);
  const breaches = errors.map((error) => `does not parse: ${error.message}`);
  const imports: Import[] = [];
  const lines = text.replace(/\n$/, "").split("\n").length;
  if (lines > maxLines) breaches.push(`has ${lines} lines, more than ${maxLines}`);
  walk(program as unknown as Node, undefined, (node, parent) => {
    const from = (node["source"] as { value?: unknown } | null | undefined)?.value;
    if (typeof from === "string") {
      imports.push({ from });
    }
    const found = [
      syntaxBreach(node, path),
      globalsBreach(node, parent, path),
      stateBreach(node, path),
      nodeBreach(node, path),
    ];
    breaches.push(...found.filter((breach) => breach !== undefined));
  });
  return { imports, breaches };
}

/** The life cycle of a node is read and changed by the functions of `kernel/state.ts`; its bits are known to that file only. */
function stateBreach(node: Node, path: string): string | undefined {
  if (path.startsWith("eslint/")) return undefined;
  if (path === "kernel/state.ts")
    return exportsBit(node) ? "exports a bit; export a function instead" : undefined;
  const isField =
    path === "kernel/node.ts" && (node["object"] as Node | undefined)?.type === "ThisExpression";
  return readsFlags(node) && !isField
    ? "reads the bits of a node; use the functions of kernel/state.ts"
    : undefined;
}

interface Key {
  readonly name?: string;
  readonly value?: unknown;
}

/** `node.flags`, `node["flags"]`, `{ flags } = node`. */
function readsFlags(node: Node): boolean {
  const isFlags = (key: Key | undefined) => key?.name === "flags" || key?.value === "flags";
  if (node.type === "MemberExpression") return isFlags(node["property"] as Key);
  if (node.type !== "ObjectPattern") return false;
  return (node["properties"] as readonly { readonly key?: Key }[]).some(({ key }) => isFlags(key));
}

function exportsBit(node: Node): boolean {
  if (node.type === "ExportSpecifier") return /^[A-Z_]+$/.test((node["local"] as Key).name ?? "");
  if (node.type !== "ExportNamedDeclaration") return false;
  const declared = (node["declaration"] as Node | null)?.["declarations"] as
    readonly { id: Key }[] | undefined;
  return declared?.some(({ id }) => /^[A-Z_]+$/.test(id.name ?? "")) === true;
}

/** The files that make nodes of the tree. Everything else starts children by `task/child.ts`, with the steps that belong to that. */
const makersOfNodes = new Set(["kernel/scope-view.ts", "task/child.ts"]);
const classesOfNodes = new Set(["ScopeNode", "ScopeView"]);
/** The files that may add nodes to the tree, and that may remove them. */
const callersInTree: ReadonlyMap<string, string> = new Map([
  ["link", "task/child.ts"],
  ["unlink", "kernel/lifecycle.ts"],
]);

function nodeBreach(node: Node, path: string): string | undefined {
  const nameIn = (key: string): string => (node[key] as { name?: string } | null | undefined)?.name ?? "";
  switch (node.type) {
    case "NewExpression":
      return classesOfNodes.has(nameIn("callee")) && !makersOfNodes.has(path)
        ? "makes a node of the tree; use makeChild of task/child.ts"
        : undefined;
    case "ClassDeclaration":
    case "ClassExpression":
      return classesOfNodes.has(nameIn("superClass")) && path !== "kernel/scope-view.ts"
        ? "declares a second class of nodes"
        : undefined;
    case "ImportDeclaration": {
      if (!(node["source"] as { value: string }).value.endsWith("/tree.js")) return undefined;
      const names = (node["specifiers"] as readonly { imported?: { name: string } }[]).map(
        ({ imported }) => imported?.name ?? "",
      );
      const foreign = names.find((name) => callersInTree.has(name) && callersInTree.get(name) !== path);
      return foreign === undefined
        ? undefined
        : `imports ${foreign}, which only ${callersInTree.get(foreign)} calls`;
    }
    default:
      return undefined;
  }
}

function syntaxBreach(node: Node, path: string): string | undefined {
  const name = (node["id"] as { name?: string } | null | undefined)?.name ?? "";
  switch (node.type) {
    case "ExportDefaultDeclaration":
      return mayExportDefault.has(path) ? undefined : "has a default export";
    case "ExportSpecifier":
      if ((node["exported"] as { name?: string }).name !== "default" || mayExportDefault.has(path))
        return undefined;
      return "has a default export";
    case "ExportAllDeclaration":
      return posix.basename(path) === "index.ts" ? "uses export *" : undefined;
    case "TSEnumDeclaration":
      return `declares the enum ${name}`;
    case "TSInterfaceDeclaration":
      return /^I[A-Z][a-z]/.test(name) ? `has an I prefix on the interface ${name}` : undefined;
    default:
      return undefined;
  }
}

function walk(
  node: Node,
  parent: Node | undefined,
  visit: (node: Node, parent: Node | undefined) => void,
): void {
  visit(node, parent);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (child !== null && typeof child === "object" && "type" in child) walk(child as Node, node, visit);
    }
  }
}
