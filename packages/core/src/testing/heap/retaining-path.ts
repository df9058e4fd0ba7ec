import { runInThisContext } from "node:vm";
import {
  pairOf,
  property,
  referenceOf,
  textOf,
  type Heap,
  type HeapEdge,
  type HeapNode,
  type HeapWalk,
} from "./heap-walk.js";
import { isBoughFrame, isUserFrame, readStack } from "../leaks/stack.js";

/** The path that keeps an object alive. */
export interface Retainers {
  /** The references from a root of the garbage collector down to it. */
  readonly path: readonly string[];
  /** The line to look at: the function of the user's that is nearest to the object. */
  readonly site: string | undefined;
  /** The path of the scope that holds it, if its own scope holds the handle of that one in turn. */
  readonly partner: string | undefined;
}

/** Describes the path from a root of the garbage collector to `target`. */
export function retainersOf(heap: Heap, walk: HeapWalk, target: HeapNode): Retainers {
  const edges = walk.pathTo(target);
  const sites = sitesOf(heap, edges);
  // The way through the tree of scopes says nothing, only the scope where it ends.
  const shown = edges.filter(
    ({ toNode }, index) => !isScopeNode(toNode) || !isScopeNode(edges[index + 1]?.toNode),
  );
  const path = shown.map((edge) => `${describeEdge(edge)} ${describeHeapNode(edge.toNode, sites)}`.trim());
  return {
    path,
    site: [...sites.values()].findLast(isUserFrame),
    partner: partnerOf(heap, walk, target, edges),
  };
}

/** Two owner handles that are held from inside of each other's scopes are never collected. */
function partnerOf(
  heap: Heap,
  walk: HeapWalk,
  target: HeapNode,
  edges: readonly HeapEdge[],
): string | undefined {
  const own = scopeBehind(target);
  const holder = edges.map(({ toNode }) => scopeOf(toNode)).findLast((scope) => scope !== undefined);
  if (own === undefined || holder === undefined || isWithin(holder, own)) return undefined;
  let partner: string | undefined;
  heap.nodes.forEach((node) => {
    if (partner !== undefined || node.type !== "object" || node.id === target.id) return;
    const scope = scopeBehind(node);
    if (scope === undefined || !isWithin(holder, scope)) return;
    const inOwn = walk.pathTo(node).some(({ toNode }) => {
      const passed = scopeOf(toNode);
      return passed !== undefined && isWithin(passed, own);
    });
    if (inOwn) partner = scopePathOf(scope);
  });
  return partner;
}

/** A scope, or that of something that waits in one: a timer leads to it, and not to the tree. */
function scopeOf(node: HeapNode): HeapNode | undefined {
  if (isScopeNode(node)) return node;
  const scope = node.type === "object" ? property(node, "node") : undefined;
  return isScopeNode(scope) ? scope : undefined;
}

/** The scope of an owner handle. */
function scopeBehind(node: HeapNode): HeapNode | undefined {
  if (node.name === "NodeTask") return undefined; // a task points at its scope, and owns nothing
  const scope = property(node, "#node");
  return isScopeNode(scope) ? scope : undefined;
}

function isWithin(scope: HeapNode, outer: HeapNode): boolean {
  for (
    let at: HeapNode | undefined = scope;
    at !== undefined && isScopeNode(at);
    at = property(at, "parent")
  ) {
    if (at.id === outer.id) return true;
  }
  return false;
}

/** Where the functions on the path are written, those of bough aside, in the order of the path, by their index. */
function sitesOf(heap: Heap, edges: readonly HeapEdge[]): Map<number, string> {
  const sites = new Map<number, string>();
  const { locations, snapshot } = heap.snapshot;
  for (const { toNode: node } of edges) {
    const script = scriptOf(node);
    if (script === undefined) continue;
    const id = node.nodeIndex * snapshot.meta.node_fields.length; // the package's own look-up forgets the factor
    for (let at = 0; at < locations.length; at += 4) {
      if (locations[at] !== id) continue;
      const site = siteAt(script, locations[at + 2] ?? 0, locations[at + 3] ?? 0);
      if (site !== undefined && !isBoughFrame(site)) sites.set(node.nodeIndex, site);
    }
  }
  return sites;
}

/** The file of a function, or of a suspended function; `undefined` for Node's own. */
function scriptOf(node: HeapNode): string | undefined {
  const closure = node.type === "closure" ? node : suspended(node);
  const shared = closure && internal(closure, /^shared$/);
  const script = shared && internal(shared, /^script/);
  return script !== undefined && /^(?:file:|\/|[A-Za-z]:\\)/.test(script.name) ? script.name : undefined;
}

function suspended(node: HeapNode): HeapNode | undefined {
  const isFrame = internal(node, /^parameters_and_registers$/) !== undefined;
  return isFrame ? internal(node, /^function$/) : undefined;
}

function internal(node: HeapNode, name: RegExp): HeapNode | undefined {
  return referenceOf(node, (edge) => edge.type === "internal" && name.test(String(edge.name_or_index)));
}

/** By an error that is made there, since the tool that compiled the file maps the stacks of errors. */
function siteAt(filename: string, line: number, column: number): string | undefined {
  const stack: unknown = runInThisContext("new Error().stack", {
    filename,
    lineOffset: line,
    columnOffset: column,
  });
  return readStack({ stack }).frames[0];
}

function isScopeNode(node: HeapNode | undefined): boolean {
  return node?.name === "ScopeView" && node.type === "object";
}

function describeEdge(edge: HeapEdge): string {
  const { type, name_or_index: name, fromNode, toNode } = edge;
  if (pairOf(edge) !== undefined) return "(its value in a WeakMap) →";
  if (isScopeNode(fromNode) && isScopeNode(toNode)) return "(tree of scopes) →";
  if (type === "property") return `.${name} →`;
  if (type === "element") return `[${name}] →`;
  if (type === "context") return `variable ${name} →`;
  return type === "internal" ? `(${name}) →` : "";
}

function describeHeapNode(node: HeapNode, sites: ReadonlyMap<number, string>): string {
  const { name, type } = node;
  const site = sites.get(node.nodeIndex);
  if (type === "closure") return `function ${name === "" ? "(anonymous)" : name}${inside(site)}`;
  if (site !== undefined) return `a suspended function${inside(site)}`;
  if (isScopeNode(node)) return `scope ${scopePathOf(node)}`;
  if (name === "system / Context") return "the variables of a closure";
  return name === "" ? `(${type})` : name;
}

/** The location of a frame, without the name. */
function inside(site: string | undefined): string {
  return site === undefined ? "" : ` (${/\((.*)\)$/.exec(site)?.[1] ?? site})`;
}

function scopePathOf(scope: HeapNode): string {
  const names: string[] = [];
  for (
    let at: HeapNode | undefined = scope;
    at !== undefined && isScopeNode(at);
    at = property(at, "parent")
  ) {
    names.unshift(textOf(property(at, "label")) || "anonymous");
  }
  return names.slice(1).join("/"); // without the background
}
