import type { ServerResponse } from "node:http";
import { onNextTick } from "../kernel/platform.js";
import { isResponse, type AnyResponse } from "./messages.js";

/** On a server: the connections that it has accepted. */
export const connectionsKey: unique symbol = Symbol("bough.connections");
/** On a socket: its connection, which the socket of TLS above it shares. */
export const connectionKey: unique symbol = Symbol("bough.connection");
/** On a server: the owner handle of its scope, which the server is to hold. */
export const serverScopeKey: unique symbol = Symbol("bough.serverScope");
/** On a request: its record, once its scope has been made. */
export const recordKey: unique symbol = Symbol("bough.requestScope");
/** On a request: the framework's responder. */
export const responderKey: unique symbol = Symbol("bough.responder");
/** On a socket or a stream of HTTP/2: the last request that came through it, and those before it that are open. */
export const lastRequestKey: unique symbol = Symbol("bough.lastRequest");
/** On a socket: the requests whose responses wait for their turn. */
export const queuedKey: unique symbol = Symbol("bough.queuedRequests");

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

/** Makes a method do nothing, until what this returns is called. */
export function disable(target: object, method: string): () => void {
  const own = Object.getOwnPropertyDescriptor(target, method);
  Object.defineProperty(target, method, { value: () => undefined, configurable: true });
  return () => {
    if (own === undefined) Reflect.deleteProperty(target, method);
    else Object.defineProperty(target, method, own);
  };
}

/**
 * Gives the response of a client that is gone the status by which nginx calls that, for whoever logs when a response
 * closes; it is not sent. morgan and pino take the status of a response for unknown while its `headersSent` is false: so
 * that is true while the listeners of its `close` run, and no longer, since the handler may go by it.
 */
export function markDisconnected(response: AnyResponse): void {
  if (!isResponse(response) || response.headersSent) return;
  response.statusCode = 499;
  Object.defineProperty(response, "headersSent", { value: true, configurable: true });
  onNextTick(() => Reflect.deleteProperty(response, "headersSent"));
}

/** On HTTP/2 the bytes of a connection say nothing of one response. */
export function watchWrites(response: { write: unknown }, onWrite: () => void): void {
  const { write } = response;
  if (typeof write !== "function") return;
  response.write = function (this: unknown, ...args: unknown[]): unknown {
    onWrite();
    return Reflect.apply(write, this, args);
  };
}
