import { requireType } from "../errors/validate.js";

type Process = { env?: Record<string, string | undefined> };

let tracing = (globalThis as { process?: Process }).process?.env?.["BOUGH_TRACE"] === "1";

/**
 * Turns the recording of spawn and creation sites on or off for tasks and scopes that start from now on. Off by default,
 * since it takes a stack trace for each; `BOUGH_TRACE=1` in the environment turns it on from the start.
 *
 * @param on - Whether to record.
 * @returns Whether it was on before.
 * @throws {TypeError} If `on` is not a boolean.
 * @example
 * ```ts
 * setTracing(true);
 * const jobs = createScope({ name: "jobs" });
 * console.log(snapshot(jobs).spawnedAt); // the file and line of the createScope()
 * await jobs.close();
 * ```
 */
export function setTracing(on: boolean): boolean {
  requireType("setTracing", "on", "boolean", on);
  const before = tracing;
  tracing = on;
  return before;
}

export function isTracing(): boolean {
  return tracing;
}

/** A public function. Only its identity matters. */
// eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- what captureStackTrace takes
export type Api = Function;

/**
 * The call site of `api`, a public function: `file:line:column`, or `undefined` while tracing is off. The engine
 * removes the frames above `api`, so renaming by a bundler does not matter. Call this while `api` is on the stack, and
 * pass the result to work that begins later. The stack is read immediately, so it keeps no receiver alive.
 */
export function callSite(api: Api): string | undefined {
  return tracing ? captureSite(api) : undefined;
}

/** Records the call site of a node. The first call counts. */
export function recordSite(
  node: { ensureExtras(): { site: string | undefined } },
  site: string | undefined,
): void {
  if (site !== undefined) node.ensureExtras().site ??= site;
}

function captureSite(api: Api): string | undefined {
  let limit: unknown;
  try {
    limit = Error.stackTraceLimit;
    if (typeof Error.captureStackTrace !== "function") return cleanFrame(new Error().stack?.split("\n")[3]);
    if (!(typeof limit === "number" && limit >= 1)) Error.stackTraceLimit = 1; // otherwise there is no frame
    const holder: { stack?: unknown } = {};
    Error.captureStackTrace(holder, api);
    return cleanFrame(framesOf(holder.stack)[0]);
  } catch {
    return undefined; // an `Error.prepareStackTrace`, or an accessor in place of `Error.stackTraceLimit`, that throws
  } finally {
    restoreLimit(limit);
  }
}

function restoreLimit(limit: unknown): void {
  try {
    if (Error.stackTraceLimit !== limit) Error.stackTraceLimit = limit as number;
  } catch {
    // it could not be read, so it was not changed
  }
}

/**
 * The frames of a stack of `captureStackTrace`, innermost first. An `Error.prepareStackTrace` may have turned the stack
 * into a text, with or without a first line, or into an array of call sites.
 */
export function framesOf(stack: unknown): string[] {
  if (Array.isArray(stack)) return stack.every(isPrintable) ? stack.map(String) : [];
  if (typeof stack !== "string") return [];
  const lines = stack.split("\n");
  const first = lines.findIndex((line) => /^\s*at /.test(line));
  return lines.slice(first < 0 ? 1 : first).map((line) => line.trim().replace(/^at /, ""));
}

function isPrintable(value: unknown): boolean {
  return typeof (value as { toString?: unknown } | null | undefined)?.toString === "function";
}

function cleanFrame(frame: string | undefined): string | undefined {
  return frame
    ?.trim()
    .replace(/^at /, "")
    .replace(/^<anonymous> \((.*)\)$/, "$1");
}
