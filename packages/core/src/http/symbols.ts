import type { ServerResponse } from "node:http";
import { onNextTick } from "../kernel/platform.js";
import { isResponse, type AnyResponse } from "./messages.js";

// Every symbol that the HTTP layer sets on an object of Node, and every method of such an object that it replaces, each
// with the reason. The types of the values are declared where they are used. An integration has such a file for the
// objects of its framework.

/** On a server: all connections that it has accepted. Node's own list is not complete. */
export const connectionsKey: unique symbol = Symbol("bough.connections");
/** On a socket: its connection. A TLS socket and the socket below it share one. */
export const connectionKey: unique symbol = Symbol("bough.connection");
/** On a server: the owner handle of its scope, so that the scope lives as long as the server. */
export const serverScopeKey: unique symbol = Symbol("bough.serverScope");
/** On a socket or an HTTP/2 stream: its open requests. One entry per connection, not per request. */
export const lastRequestKey: unique symbol = Symbol("bough.lastRequest");
/**
 * On a socket: the records of pipelined requests whose responses wait for the socket. One listener serves all of them.
 */
export const queuedKey: unique symbol = Symbol("bough.queuedRequests");
/**
 * On a request: its record, so that it has one scope. Not on its response: where a framework changes the prototypes of
 * both, adding a property there takes several microseconds on Node 20.
 */
export const recordKey: unique symbol = Symbol("bough.requestScope");
/** On a request: the responder of its framework, which is set before the record is created. */
export const responderKey: unique symbol = Symbol("bough.responder");

/** Disables a method until the returned function is called. */
export function disable(target: object, method: string): () => void {
  const own = Object.getOwnPropertyDescriptor(target, method);
  Object.defineProperty(target, method, { value: () => undefined, configurable: true });
  return () => {
    if (own === undefined) Reflect.deleteProperty(target, method);
    else Object.defineProperty(target, method, own);
  };
}

/**
 * Replaces `closeIdleConnections` of a server by `replacement`, which receives the original. `close()` calls this
 * method, too, and would destroy connections whose response has ended and is still being sent.
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
 * Disables the methods of a response that was answered in the handler's place. The handler may still call them, and an
 * error that Node throws in a callback would end the process.
 *
 * @param from - `"headersSent"`: from the start of an answer that is sent at once. `"writableEnded"`: from the end of
 * the application's own answer.
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

/** The methods that begin an answer. They throw once the headers have been sent. */
const headerMethods = methods.filter((method) => /header|head$/i.test(method));

/**
 * Lets a handler that has failed in the middle of its answer begin a second one: `response.writeHead(500).end()`. Node
 * would throw there, in code that handles errors, and the process would end.
 *
 * @param cutOff - Called instead, unless the answer has been ended. Later calls of the handler on the response are
 * ignored.
 */
export function ignoreSecondAnswer(response: ServerResponse, cutOff: () => void): void {
  if (ignoringSecondAnswer.has(response)) return;
  ignoringSecondAnswer.add(response);
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

const ignoringSecondAnswer = new WeakSet<object>();

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
 * Sets the status 499 on the response of a disconnected client, as nginx does, for loggers that run when a response
 * closes. Nothing is sent. morgan and pino ignore the status while `headersSent` is false, so it is true while the
 * listeners of `close` run. Then it is reset, since the handler may read it.
 */
export function markDisconnected(response: AnyResponse): void {
  if (!isResponse(response) || response.headersSent) return;
  response.statusCode = 499;
  Object.defineProperty(response, "headersSent", { value: true, configurable: true });
  onNextTick(() => Reflect.deleteProperty(response, "headersSent"));
}

/** Calls back on every write to a response. The byte counters of an HTTP/2 connection cover all its responses. */
export function watchWrites(response: { write: unknown }, onWrite: () => void): void {
  const { write } = response;
  if (typeof write !== "function") return;
  response.write = function (this: unknown, ...args: unknown[]): unknown {
    onWrite();
    return Reflect.apply(write, this, args);
  };
}
