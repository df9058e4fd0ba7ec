import { isObjectLike } from "../errors/user-values.js";
import { isBytes } from "./body.js";

// Determines from the data of its host whether the body of a response is complete. Otherwise the body must be read.
// That disables the host's fast path for sending it, and takes more time than all other work for the request.

/** Whether the body of `response` is known to be complete. `false`: it may be, or not. */
export function isComplete(response: unknown): boolean {
  if (!isObjectLike(response)) return false;
  return countsBodies ? isCounted(response) : isCached(response);
}

/** The properties in which node-server and Deno store the body of a response whose stream was not read. */
const cached: ReadonlySet<string | undefined> = new Set(["cache", "serve fast body"]);

function isCached(response: object): boolean {
  for (const symbol of Object.getOwnPropertySymbols(response)) {
    if (!cached.has(symbol.description)) continue;
    const stored: unknown = Reflect.get(response, symbol);
    const body: unknown = Array.isArray(stored) ? stored[1] : stored;
    if (typeof body === "string" || isBytes(body)) return true;
  }
  return false;
}

// Bun counts the bytes of a body in memory as memory of its response, but not those of a stream.

type MemorySize = (value: object) => number;

const memorySizeOf: MemorySize | undefined = findMemorySizeOf();
/** The size of a response without a body. */
const emptySize = memorySizeOf?.(new Response(null)) ?? 0;
const countsBodies = memorySizeOf !== undefined && countsOnlyBody(memorySizeOf);

function findMemorySizeOf(): MemorySize | undefined {
  const { Bun, process } = globalThis as {
    readonly Bun?: unknown;
    readonly process?: {
      getBuiltinModule?: (name: string) => { readonly estimateShallowMemoryUsageOf?: MemorySize } | undefined;
    };
  };
  if (Bun === undefined) return undefined;
  return process?.getBuiltinModule?.("bun:jsc")?.estimateShallowMemoryUsageOf;
}

/** Whether this version of Bun counts as described: only the body and the status text. */
function countsOnlyBody(size: MemorySize): boolean {
  const headers = { "content-type": "text/plain", "x-a": "b".repeat(100) };
  const init = { status: 404, statusText: "Missing", headers };
  const stream = new Response(new ReadableStream(), init);
  const text = new Response("a".repeat(1_000), init);
  const sizeWithoutBody = emptySize + init.statusText.length;
  return size(stream) === sizeWithoutBody && size(text) === sizeWithoutBody + 1_000;
}

/** A response that was fetched has a URL, and may be half received. */
function isCounted(response: object): boolean {
  if (!(response instanceof Response) || response.url !== "" || response.bodyUsed) return false;
  return (memorySizeOf?.(response) ?? 0) > emptySize + response.statusText.length;
}
