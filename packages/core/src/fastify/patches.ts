import type { FastifyInstance } from "fastify";

/** What Fastify does to its server once the hooks `preClose` are through, `close` at the end. */
const methods = ["closeIdleConnections", "closeAllConnections", "closeHttp2Sessions"] as const;

type Closing = Record<(typeof methods)[number] | "close", unknown>;

/**
 * Has `shutDown` run when Fastify closes: after every hook `preClose` of the app's, those of contexts inside and those
 * added later included, since they may end what it would wait for; and before Fastify closes any connection.
 *
 * There is no hook at that moment: those of `preClose` run in the order they were added, each within `pluginTimeout`, and
 * those of `onClose` after the server has closed. But the next thing that Fastify does then is to close its server.
 *
 * @param shutDown - Gets whether the app's hooks have run; they don't when an app fails to start.
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
    restore = intercept(fastify.server as unknown as Closing, run);
    done();
  });
  // Fastify does not close a server that somebody else has made and told to listen.
  fastify.addHook("onClose", run);
}

/** Puts off what Fastify does to `server` until `run` is through. Returns what ends that. */
function intercept(server: Closing, run: () => Promise<void>): () => void {
  const put = new Map<string, PropertyDescriptor | undefined>();
  const replace = (name: keyof Closing, value: (...args: unknown[]) => unknown): void => {
    if (typeof server[name] !== "function") return;
    put.set(name, Object.getOwnPropertyDescriptor(server, name));
    Object.defineProperty(server, name, { value, configurable: true, writable: true });
  };
  const skipped: string[] = [];
  for (const name of methods) replace(name, () => void skipped.push(name));
  replace("close", (...args) => {
    const goOn = (): void => {
      for (const name of skipped) call(server, name, []);
      call(server, "close", args);
    };
    void run().then(goOn, goOn); // the hook `onClose` passes its failure on
    return server;
  });
  return () => {
    for (const [name, own] of put) {
      if (own === undefined) Reflect.deleteProperty(server, name);
      else Object.defineProperty(server, name, own);
    }
    put.clear();
  };
}

function call(server: object, name: string, args: readonly unknown[]): void {
  const method: unknown = Reflect.get(server, name);
  if (typeof method === "function") Reflect.apply(method, server, args);
}

interface Log {
  error(...what: unknown[]): void;
}

/**
 * Gives `onFailure` what Fastify logs through the reply when a handler fails that can't be answered any more ("Promise
 * errored, but reply.sent = true was set"): it may have been answered for, or have hijacked the reply. If `onFailure` says
 * that it has dealt with that, it is not logged.
 *
 * Here rather than around the handler: no other request pays for it, and whoever calls the handler gets what it returns.
 */
export function interceptLog(reply: { log: Log }, onFailure: (error: unknown) => boolean): void {
  const { log } = reply;
  // Not of the log itself: it may be frozen.
  reply.log = new Proxy({} as Log, {
    get(_, key) {
      const value: unknown = Reflect.get(log, key);
      if (typeof value !== "function") return value;
      return (...what: unknown[]): unknown => {
        const error: unknown = (what[0] as { err?: unknown } | undefined)?.err;
        if (key === "error" && error !== undefined && onFailure(error)) return undefined;
        return Reflect.apply(value, log, what);
      };
    },
  });
}
