import type { FastifyInstance } from "fastify";

// The methods of Fastify's server and reply that are replaced, each for a time, and why.

/** The methods that Fastify calls on its server after the `preClose` hooks, before `close`. */
const methods = ["closeIdleConnections", "closeAllConnections", "closeHttp2Sessions"] as const;

type Closing = Record<(typeof methods)[number] | "close", unknown>;

/**
 * Calls `shutDown` when Fastify closes, before it closes any connection. All `preClose` hooks of the app and its
 * plugins run first, because they may end work that the shutdown waits for.
 *
 * Fastify has no hook for that moment: `preClose` hooks run in the order they were added, each within `pluginTimeout`,
 * and `onClose` hooks run after the server has closed. But Fastify then calls methods of its server, which are replaced
 * until then.
 *
 * @param shutDown - Receives whether the hooks of the app have run. They do not run if the app fails to start.
 */
export function afterPreClose(
  fastify: FastifyInstance,
  shutDown: (hasBegun: boolean) => Promise<void>,
): void {
  let closing: Promise<void> | undefined;
  let hasBegun = false;
  let restore = (): void => undefined;
  const run = (): Promise<void> => {
    restore();
    return (closing ??= shutDown(hasBegun));
  };
  fastify.addHook("preClose", (done) => {
    hasBegun = true;
    abandonLookUp(fastify);
    restore = intercept(fastify.server as unknown as Closing, run);
    done();
  });
  // Fastify does not close a server that other code has told to listen.
  fastify.addHook("onClose", run);
}

/**
 * Fastify listens on both addresses of `localhost`: when the first one listens, it looks the other one up. If the server has
 * been closed by then, Fastify 5 reads the address of a server that has none, and the process ends with an uncaught
 * exception. Fastify's own mark of an aborted `listen()` prevents that.
 */
function abandonLookUp(fastify: FastifyInstance): void {
  if (!fastify.server.listening) return;
  for (let at: object | null = fastify; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    const key = Object.getOwnPropertySymbols(at).find(({ description }) => description === "fastify.state");
    const state: unknown = key === undefined ? undefined : Reflect.get(at, key);
    if (typeof state === "object" && state !== null && "aborted" in state) {
      state.aborted = true;
      return;
    }
  }
}

/** Postpones the calls of Fastify on `server` until `run` is done. Returns a function that restores the methods. */
function intercept(server: Closing, run: () => Promise<void>): () => void {
  const replaced = new Map<string, PropertyDescriptor | undefined>();
  const replace = (name: keyof Closing, value: (...args: unknown[]) => unknown): void => {
    if (typeof server[name] !== "function") return;
    replaced.set(name, Object.getOwnPropertyDescriptor(server, name));
    Object.defineProperty(server, name, { value, configurable: true, writable: true });
  };
  const skipped: string[] = [];
  for (const name of methods) replace(name, () => void skipped.push(name));
  replace("close", (...args) => {
    const resume = (): void => {
      for (const name of skipped) call(server, name, []);
      call(server, "close", args);
    };
    void run().then(resume, resume); // the `onClose` hook passes its failure on
    return server;
  });
  return () => {
    for (const [name, own] of replaced) {
      if (own === undefined) Reflect.deleteProperty(server, name);
      else Object.defineProperty(server, name, own);
    }
    replaced.clear();
  };
}

function call(server: object, name: string, args: readonly unknown[]): void {
  const method: unknown = Reflect.get(server, name);
  if (typeof method === "function") Reflect.apply(method, server, args);
}

interface Log {
  error(...what: unknown[]): void;
}

/** The code of the warning that Fastify logs when a handler sends a reply that was sent before. */
const ALREADY_SENT = "FST_ERR_REP_ALREADY_SENT";

/**
 * Passes `onFailure` the errors that Fastify logs through a reply which can't be sent any more ("Promise errored, but
 * reply.sent = true was set"). If `onFailure` returns true, the error is not logged. Nor is a late `reply.send`, if
 * `isAnswered` says that the reply was sent in the handler's place.
 *
 * The handler itself is not wrapped: that would slow down every request, and change the result of the handler for its
 * caller.
 */
export function interceptLog(
  reply: { log: Log },
  onFailure: (error: unknown) => boolean,
  isAnswered: () => boolean,
): void {
  const { log } = reply;
  // A proxy of an empty object: the log itself may be frozen.
  reply.log = new Proxy({} as Log, {
    get(_, key) {
      const value: unknown = Reflect.get(log, key);
      if (typeof value !== "function") return value;
      return (...what: unknown[]): unknown => {
        const error: unknown = (what[0] as { err?: unknown } | undefined)?.err;
        if (key === "error" && error !== undefined && onFailure(error)) return undefined;
        if ((error as { code?: unknown } | undefined)?.code === ALREADY_SENT && isAnswered())
          return undefined;
        return Reflect.apply(value, log, what);
      };
    },
  });
}
