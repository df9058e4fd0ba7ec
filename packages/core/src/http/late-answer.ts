import type { ServerResponse } from "node:http";
import { onNextTick } from "../kernel/platform.js";

/** What throws, fails or breaks the stream once a response has been sent, for HTTP/1.1 or for HTTP/2. */
const methods = [
  "setHeader",
  "setHeaders",
  "appendHeader",
  "removeHeader",
  "writeContinue",
  "writeProcessing",
  "writeEarlyHints",
  "writeHead",
  "write",
  "end",
] as const;

/**
 * Lets a handler answer in vain that has been answered for: it does not know, and what Node throws at it then ends
 * the process when nobody catches it, in a callback, say.
 *
 * @param from - `"headersSent"`: from when the answer has begun, as all of it is sent at once. `"writableEnded"`: from when
 *   it has ended, as the application gives it.
 */
export function ignoreLateAnswer(response: ServerResponse, from: "headersSent" | "writableEnded"): void {
  for (const method of methods) {
    const original: unknown = Reflect.get(response, method);
    if (typeof original !== "function") continue; // newer than this Node
    const nothing = method === "write" ? writeNothing : doNothing;
    const value = function (this: ServerResponse, ...args: readonly unknown[]): unknown {
      // Middleware may have put the end off, to save a session, say.
      return Reflect.apply(response[from] ? nothing : original, this, args);
    };
    Object.defineProperty(response, method, { value, writable: true, configurable: true });
  }
}

function doNothing(this: ServerResponse, ...args: readonly unknown[]): ServerResponse {
  callBack(args);
  return this;
}

function writeNothing(...args: readonly unknown[]): boolean {
  callBack(args);
  return true;
}

/** Whoever waits for it to be sent waits no longer. */
function callBack(args: readonly unknown[]): void {
  const callback = args.at(-1);
  if (typeof callback === "function") onNextTick(callback as () => void);
}
