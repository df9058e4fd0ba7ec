import { isBuiltin } from "node:module";
import { posix } from "node:path";
import { parseSync } from "oxc-parser";
import { globalsBreach } from "./replaceable-globals.js";

/** Source files by their path below `src`, with forward slashes. */
export type Sources = ReadonlyMap<string, string>;

/** The layers, lowest first. A file may import from its own folder, and from the layers before it. */
const layers: readonly (readonly string[])[] = [
  ["errors"],
  ["kernel"],
  ["task"],
  ["flow"],
  ["resources"],
  // The public entry `src/index.ts`: made of the layers below, used by those above.
  ["."],
  ["inspect", "adapter", "streams", "process", "ambient", "effection", "eslint"],
  ["testing", "recorder", "remote", "http"],
  ["vitest", "express", "fastify", "web", "pg-boss", "bullmq", "inspector"],
  ["nest"],
  ["cli"],
];

/** The packages from npm, with the folders that may import them. */
const packages: ReadonlyMap<string, readonly string[]> = new Map([
  ["effection", ["task", "effection"]], // of `task` only types: `test/without-effection.test.ts`
  ["express", ["express", "nest"]],
  ["fastify", ["fastify", "nest"]],
  ["@nestjs/common", ["nest"]],
  ["@nestjs/core", ["nest"]],
  ["bullmq", ["bullmq"]],
  ["ioredis", ["bullmq"]],
  ["pg-boss", ["pg-boss"]],
  ["pg", ["pg-boss"]],
  ["vitest", ["vitest"]],
  ["@sinonjs/fake-timers", ["testing"]],
  ["@memlab/core", ["testing"]],
]);

/** Loads a package by a name that TypeScript must not resolve, since it is not installed. */
const mayComputeImports = new Set(["testing/heap/retainers.ts"]);

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
      const breach = packageBreach(layer, from);
      if (breach !== undefined) breaches.push(breach);
      continue;
    }
    const target = resolve(path, from);
    const rise = rankOf(layerOf(target)) - rankOf(layer);
    if (!sources.has(target)) breaches.push(`imports ${from}, which is not a source file`);
    else if (rise > 0)
      breaches.push(`imports upwards, from ${target}; move the code down, or let the upper layer pass it in`);
    else if (rise === 0 && layerOf(target) !== layer)
      breaches.push(`imports sideways, from ${target}; move the common code to a layer below`);
  }
  return breaches;
}

function packageBreach(layer: string, from: string): string | undefined {
  if (isBuiltin(from))
    return portable.has(layer) ? `imports ${from}, which only Node has; take it as an argument` : undefined;
  const name = from.split("/", from.startsWith("@") ? 2 : 1).join("/");
  if (name === "bough") return `imports its own package as ${from}; use a relative path`;
  if (packages.get(name)?.includes(layer) === true) return undefined;
  return `imports ${name}; only the folders listed in test/support/architecture.ts import a package`;
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
  if (/^\/\/\/ *<reference +(?:path|types)/m.test(text))
    breaches.push("refers to another file by a reference directive; import its types");
  const lines = text.replace(/\n$/, "").split("\n").length;
  if (lines > maxLines) breaches.push(`has ${lines} lines, more than ${maxLines}`);
  walk(program as unknown as Node, undefined, (node, parent) => {
    const source = sourceOf(node);
    const from = source === undefined ? undefined : textOf(source);
    if (from !== undefined) imports.push({ from });
    const found = [
      source !== undefined && from === undefined && !mayComputeImports.has(path)
        ? "imports a file that only the run knows; write its path as a string"
        : undefined,
      syntaxBreach(node, path),
      globalsBreach(node, parent, path),
      stateBreach(node, path),
      nodeBreach(node, path),
    ];
    breaches.push(...found.filter((breach) => breach !== undefined));
  });
  return { imports, breaches };
}

/** What a node of the syntax tree imports, in any of the forms of the language. */
function sourceOf(node: Node): Node | undefined {
  switch (node.type) {
    case "TSExternalModuleReference":
      return node["expression"] as Node;
    case "TSModuleDeclaration":
      return isString(node["id"] as Node) ? (node["id"] as Node) : undefined;
    case "CallExpression":
      return (node["callee"] as { name?: string }).name === "require"
        ? (node["arguments"] as readonly Node[])[0]
        : undefined;
    default:
      return (node["source"] as Node | null | undefined) ?? undefined;
  }
}

const isString = (node: Node): boolean => node.type === "Literal" && typeof node["value"] === "string";

/** The value of a string, or of a template without a variable part. */
function textOf(node: Node): string | undefined {
  if (isString(node)) return node["value"] as string;
  if (node.type !== "TemplateLiteral") return undefined;
  const parts = node["quasis"] as readonly { readonly value: { readonly cooked: string } }[];
  return parts.length === 1 ? parts[0]?.value.cooked : undefined;
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

/** `node.flags`, `node["flags"]`, `Reflect.get(node, "flags")`, `{ flags } = node`. */
function readsFlags(node: Node): boolean {
  if (node.type === "MemberExpression") return isFlags(node["property"] as Node);
  if (node.type === "CallExpression")
    return (node["arguments"] as readonly Node[]).some((argument) => textOf(argument) === "flags");
  if (node.type !== "ObjectPattern") return false;
  return (node["properties"] as readonly { readonly key?: Node }[]).some(({ key }) => isFlags(key));
}

function isFlags(key: Node | undefined): boolean {
  return key !== undefined && (key["name"] === "flags" || textOf(key) === "flags");
}

/** Its functions, its types and its initial states may be exported. */
function exportsBit(node: Node): boolean {
  if (node.type === "ExportSpecifier") return true;
  if (node.type !== "ExportNamedDeclaration") return false;
  const declared = (node["declaration"] as Node | null)?.["declarations"] as
    readonly { id: { name?: string }; init: Node | null }[] | undefined;
  return (declared ?? []).some(
    ({ id, init }) => init?.type !== "ArrowFunctionExpression" && id.name?.startsWith("initial") !== true,
  );
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
  const nameIn = (key: string): string => (node[key] as Key | null | undefined)?.name ?? "";
  const renames = (from: string, to: string): string | undefined =>
    classesOfNodes.has(nameIn(from)) && nameIn(to) !== nameIn(from)
      ? `gives ${nameIn(from)} another name; this test looks for that name`
      : undefined;
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
    case "ImportSpecifier":
      return renames("imported", "local");
    case "ExportSpecifier":
      return renames("local", "exported");
    case "VariableDeclarator":
      return renames("init", "id");
    case "ImportDeclaration":
    case "ExportNamedDeclaration":
      return treeBreach(node, path);
    default:
      return undefined;
  }
}

/** Adding a node to the tree, or removing one, elsewhere than in the file that does all that belongs to it. */
function treeBreach(node: Node, path: string): string | undefined {
  if ((node["source"] as { value?: string } | null)?.value?.endsWith("/tree.js") !== true) return undefined;
  const names = (node["specifiers"] as readonly { imported?: Key; local?: Key }[]).map(
    ({ imported, local }) => (imported ?? local)?.name ?? "",
  );
  const foreign = names.find((name) => callersInTree.has(name) && callersInTree.get(name) !== path);
  return foreign === undefined
    ? undefined
    : `imports ${foreign}, which only ${callersInTree.get(foreign)} calls`;
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
    case "TSExportAssignment":
      return "has a default export";
    case "ExportAllDeclaration":
      return "uses export *; name the exports";
    case "ImportDeclaration":
      return (node["source"] as { value: string }).value.startsWith(".") &&
        (node["specifiers"] as readonly Node[]).some(({ type }) => type === "ImportNamespaceSpecifier")
        ? "uses import *; name the imports"
        : undefined;
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
