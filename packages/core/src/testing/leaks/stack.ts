import { framesOf } from "../../kernel/call-site.js";

/** How many frames of a creation stack are kept. Frames of Node are removed. */
const MAX_FRAMES = 40;

/** The folder of the package, as modules are loaded from it and as source maps, if there are any, name it in stacks. */
const packageFolders = [import.meta.url, new Error().stack?.split("\n")[1] ?? ""].map((text) =>
  plain(text.trim().replace(/^at /, "")).replace(/\/(?:src|dist)\/.*$/, ""),
);

/** The origin of a resource: the frames of the call, innermost first, without those of Node. */
export interface Origin {
  readonly frames: readonly string[];
  /** Node's own frames. */
  readonly internal: readonly string[];
}

/** A stack that was captured and not yet read, which costs a tenth of reading it. */
export type RawStack = { readonly stack?: unknown };

/**
 * The stack of the caller. Until it is read by {@link readStack} it keeps every receiver on it alive, which may be an
 * owner handle: don't keep it for long.
 *
 * @param above - A function of ours; its frame and the frames above are left out.
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- what captureStackTrace takes
export function captureStack(above: Function): RawStack {
  const holder: RawStack = {};
  const limit = setStackTraceLimit(MAX_FRAMES);
  try {
    Error.captureStackTrace(holder, above);
  } catch {
    // An `Error.prepareStackTrace` that throws. An exception here would end the process.
  }
  setStackTraceLimit(limit);
  return holder;
}

/** Returns the limit before. Does nothing if it is read-only (`--frozen-intrinsics`), or an accessor that throws. */
function setStackTraceLimit(limit: unknown): unknown {
  try {
    const before: unknown = Error.stackTraceLimit;
    Reflect.set(Error, "stackTraceLimit", limit);
    return before;
  } catch {
    return undefined;
  }
}

export function readStack(raw: RawStack): { frames: string[]; internal: string[] } {
  const all = readFrames(raw);
  return { frames: all.filter((frame) => !isInternal(frame)), internal: all.filter(isInternal) };
}

/** All frames, innermost first, Node's own among them. */
export function readFrames(raw: RawStack): string[] {
  try {
    return framesOf(raw.stack).map(plain);
  } catch {
    return []; // an `Error.prepareStackTrace` that throws
  }
}

/** The line to look at: the innermost frame that is neither bough's nor a dependency's, or the innermost if there is none. */
export function siteOf(frames: readonly string[]): string | undefined {
  return frames.find(isUserFrame) ?? frames[0];
}

/** Whether a frame is neither bough's nor a dependency's. */
export function isUserFrame(frame: string): boolean {
  return !isBoughFrame(frame) && !frame.includes("/node_modules/");
}

/** Whether a frame is in bough's own code (its tests are users). */
export function isBoughFrame(frame: string): boolean {
  const inside = packageFolders.some(
    (home) => frame.includes(`${home}/src/`) || frame.includes(`${home}/dist/`),
  );
  return inside && !/\.test\.[cm]?[jt]sx?:/.test(frame);
}

const runners =
  /\/node_modules\/(?:.*\/)?(?:vitest|@vitest\/[\w-]+|jest-[\w-]+|@jest\/[\w-]+|mocha|tinypool)\//;

/** Whether a frame is in the code of a test runner. */
export function isRunnerFrame(frame: string): boolean {
  return runners.test(frame);
}

/** Whether a frame is in Node's own code. */
export function isInternal(frame: string): boolean {
  return /(?:^|\()(?:node:|native\)?$|<anonymous>\)?$)/.test(frame);
}

/** Paths rather than `file:` URLs: an editor opens it on a click. */
export function plain(text: string): string {
  return text.replace("file://", "").replace(/^<anonymous> \((.*)\)$/, "$1");
}
