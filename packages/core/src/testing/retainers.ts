import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeHeapSnapshot } from "node:v8";
import { turn } from "./clock.js";

const PACKAGE = "@memlab/heap-analysis";

/** What we use of the analysis. */
interface HeapNode {
  readonly name: string;
  readonly type: string;
  readonly pathEdge: HeapEdge | null;
  forEachReference(callback: (edge: HeapEdge) => void): void;
}

interface HeapEdge {
  readonly type: string;
  readonly name_or_index: string | number;
  readonly fromNode: HeapNode;
  readonly toNode: HeapNode;
}

interface HeapAnalysis {
  getFullHeapFromFile(
    file: string,
  ): Promise<{ readonly nodes: { forEach(callback: (node: HeapNode) => void): void } }>;
}

/**
 * The references that keep the target of `probe` alive, from a root of the garbage collector down; `"collected"` if
 * it is gone; or a sentence that says why it can't be told.
 *
 * @param probe - An object of a class of its own, with the target in a WeakRef at `ref`.
 * @param load - Gets the package that reads heap snapshots, if it is installed.
 */
export async function findRetainers(
  probe: { readonly ref: WeakRef<object> },
  load: () => Promise<HeapAnalysis | undefined> = loadAnalysis,
): Promise<readonly string[] | string> {
  const analysis = await load();
  if (analysis === undefined) {
    return `To see what keeps it, install the package that reads heap snapshots: npm install --save-dev ${PACKAGE}`;
  }
  await turn(); // reading the WeakRef has kept the target alive for the rest of that job
  const folder = mkdtempSync(join(tmpdir(), "bough-heap-"));
  try {
    const heap = await quietly(() =>
      analysis.getFullHeapFromFile(writeHeapSnapshot(join(folder, "heap.heapsnapshot"))),
    );
    const target = findTarget(heap.nodes, probe.constructor.name);
    if (target === undefined) return "collected";
    const path = describePath(target);
    return path.length > 0 ? path : "What keeps it is not in the heap: a frame on the stack, or the engine.";
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function loadAnalysis(): Promise<HeapAnalysis | undefined> {
  try {
    return (await import(PACKAGE)) as HeapAnalysis;
  } catch (error) {
    if ((error as { code?: unknown }).code === "ERR_MODULE_NOT_FOUND" || !canResolve()) return undefined;
    throw error;
  }
}

function canResolve(): boolean {
  try {
    return createRequire(import.meta.url).resolve(PACKAGE) !== "";
  } catch {
    return false;
  }
}

/** It reports its progress on stdout, unless its configuration, in a package of its own, is told not to. */
async function quietly<T>(body: () => Promise<T>): Promise<T> {
  const require = createRequire(createRequire(import.meta.url).resolve(PACKAGE));
  const { config } = require("@memlab/core") as { config: { muteConsole: boolean } };
  const before = config.muteConsole;
  config.muteConsole = true;
  try {
    return await body();
  } finally {
    config.muteConsole = before;
  }
}

function findTarget(
  nodes: { forEach(callback: (node: HeapNode) => void): void },
  probe: string,
): HeapNode | undefined {
  let target: HeapNode | undefined;
  nodes.forEach((node) => {
    if (node.name !== probe || node.type !== "object") return;
    const ref = referenceOf(node, (edge) => edge.name_or_index === "ref");
    if (ref?.name === "WeakRef") target ??= referenceOf(ref, (edge) => edge.type === "weak");
  });
  return target;
}

function referenceOf(node: HeapNode, wanted: (edge: HeapEdge) => boolean): HeapNode | undefined {
  let found: HeapNode | undefined;
  node.forEachReference((edge) => {
    if (wanted(edge)) found ??= edge.toNode;
  });
  return found;
}

function describePath(target: HeapNode): string[] {
  const lines: string[] = [];
  const seen = new Set<HeapNode>();
  for (let edge = target.pathEdge; edge !== null && edge !== undefined; edge = edge.fromNode.pathEdge) {
    if (seen.has(edge.toNode)) break;
    seen.add(edge.toNode);
    lines.push(`${describeEdge(edge)} ${describeNode(edge.toNode)}`.trim());
  }
  return lines.reverse();
}

function describeEdge({ type, name_or_index: name }: HeapEdge): string {
  if (type === "property") return `.${name} →`;
  if (type === "element") return `[${name}] →`;
  if (type === "context") return `variable ${name} →`;
  return type === "internal" ? `(${name}) →` : "";
}

function describeNode({ name, type }: HeapNode): string {
  if (type === "closure") return `function ${name === "" ? "(anonymous)" : name}`;
  if (name === "system / Context") return "the variables of a closure";
  return name === "" ? `(${type})` : name;
}
