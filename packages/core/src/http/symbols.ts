import type { ServerResponse } from "node:http";
import { onNextTick } from "../kernel/platform.js";
import { isResponse, type AnyResponse } from "./messages.js";

// Every symbol that the HTTP layer puts on an object of Node, and every method of such an object that it replaces, each
// with the reason. The types of the symbols' values are declared where the values are used. An integration has a
// file for the objects of its framework in its own folder.

/** On a server: all connections that it has accepted. Node's own list is not complete. */
export const connectionsKey: unique symbol = Symbol("bough.connections");
/** On a socket: its connection. A TLS socket and the socket below it share one. */
export const connectionKey: unique symbol = Symbol("bough.connection");
/** On a server: the owner handle of its scope, so that the scope lives as long as the server. */
export const serverScopeKey: unique symbol = Symbol("bough.serverScope");
/** On a socket or an HTTP/2 stream: the requests that came through it and are open. One entry per connection, not per request. */
export const lastRequestKey: unique symbol = Symbol("bough.lastRequest");
/** On a socket: the records whose pipelined responses wait for their turn. One listener serves all of them. */
export const queuedKey: unique symbol = Symbol("bough.queuedRequests");
/**
 * On a request: its record, so that it has one scope. Not on its response: a framework that changes the prototypes of both
 * makes a new property there take several microseconds on Node 20.
 */
export const recordKey: unique symbol = Symbol("bough.requestScope");
/** On a request: the responder of its framework, which is known before the record is made. */
export const responderKey: unique symbol = Symbol("bough.responder");

/** Makes a method do nothing, until the returned function is called. */
export function disable(target: object, method: string): () => void {
  const own = Object.getOwnPropertyDescriptor(target, method);
  Object.defineProperty(target, method, { value: () => undefined, configurable: true });
  return () => {
    if (own === undefined) Reflect.deleteProperty(target, method);
    else Object.defineProperty(target, method, own);
  };
}

/**
 * Replaces `closeIdleConnections` of a server by `replacement`, which gets the original. `close()` calls that method too,
 * and would cut off connections whose answer has ended and is still being sent.
 */
export function replaceCloseIdle(server: object, replacement: (original: () => void) => void): void {
  const original: unknown = Reflect.get(server, "closeIdleConnections");
  if (typeof original !== "function" || withReplacedCloseIdle.has(server)) return;
  withReplacedCloseIdle.add(server);
  const value = function closeIdleConnections(): void {
    replacement(() => void Reflect.apply(original, server, []));
  };
  Object.defineProperty(server, "closeIdleConnections", { value, writable: true, configurable: true });
}

const withReplacedCloseIdle = new WeakSet<object>();

/** The methods that throw, fail or break the stream once a response has been sent, over HTTP/1.1 or HTTP/2. */
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
 * Makes the methods of a response do nothing once it has been answered in the handler's place. The handler does not know
 * that, and the errors that Node throws end the process if nobody catches them, as in a callback.
 *
 * @param from - `"headersSent"`: from the beginning of an answer that is sent at once. `"writableEnded"`: from the end of
 *   one that the application gives.
 */
export function ignoreLateAnswer(response: ServerResponse, from: "headersSent" | "writableEnded"): void {
  for (const method of methods) {
    const original: unknown = Reflect.get(response, method);
    if (typeof original !== "function") continue; // newer than this Node
    const nothing = method === "write" ? writeNothing : doNothing;
    const value = function (this: ServerResponse, ...args: readonly unknown[]): unknown {
      // Middleware may have postponed the end, for example to save a session.
      return Reflect.apply(response[from] ? nothing : original, this, args);
    };
    Object.defineProperty(response, method, { value, writable: true, configurable: true });
  }
}

/** The methods that throw once the headers have been sent: with them a handler begins an answer. */
const headerMethods = methods.filter((method) => /header|head$/i.test(method));

/**
 * Lets a handler that has failed in the middle of its answer begin another one, `response.writeHead(500).end()`: Node would
 * throw, in code that is the last to catch errors, and the process would end.
 *
 * @param cutOff - Called instead, unless the answer has been ended. What the handler does to the response later is ignored.
 */
export function ignoreSecondAnswer(response: ServerResponse, cutOff: () => void): void {
  if (withIgnoredSecond.has(response)) return;
  withIgnoredSecond.add(response);
  for (const method of headerMethods) {
    const original: unknown = Reflect.get(response, method);
    if (typeof original !== "function") continue; // newer than this Node
    const value = function (this: ServerResponse, ...args: readonly unknown[]): unknown {
      if (!response.headersSent) return Reflect.apply(original, this, args);
      const hasEnded = response.writableEnded;
      ignoreLateAnswer(response, "headersSent");
      if (!hasEnded) cutOff();
      return this;
    };
    Object.defineProperty(response, method, { value, writable: true, configurable: true });
  }
}

const withIgnoredSecond = new WeakSet<object>();

function doNothing(this: ServerResponse, ...args: readonly unknown[]): ServerResponse {
  callBack(args);
  return this;
}

function writeNothing(...args: readonly unknown[]): boolean {
  callBack(args);
  return true;
}

/** Calls the callback of a discarded write, so that its caller does not wait. */
function callBack(args: readonly unknown[]): void {
  const callback = args.at(-1);
  if (typeof callback === "function") onNextTick(callback as () => void);
}

/**
 * Gives the response of a disconnected client the status 499, as nginx does, for loggers that run when a response closes.
 * It is not sent. morgan and pino ignore the status while `headersSent` is false, so that is true while the listeners of
 * `close` run, and no longer, since the handler may read it.
 */
export function markDisconnected(response: AnyResponse): void {
  if (!isResponse(response) || response.headersSent) return;
  response.statusCode = 499;
  Object.defineProperty(response, "headersSent", { value: true, configurable: true });
  onNextTick(() => Reflect.deleteProperty(response, "headersSent"));
}

/** Calls back on every write to a response. The byte counts of an HTTP/2 connection don't distinguish its responses. */
export function watchWrites(response: { write: unknown }, onWrite: () => void): void {
  const { write } = response;
  if (typeof write !== "function") return;
  response.write = function (this: unknown, ...args: unknown[]): unknown {
    onWrite();
    return Reflect.apply(write, this, args);
  };
}
