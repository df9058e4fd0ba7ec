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
