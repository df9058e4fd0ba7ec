import type { AnyResponse } from "./types.js";

/** What a reply of Fastify's knows about the response. */
export interface FastifyLike {
  readonly raw: AnyResponse;
  getHeaders(): Readonly<Record<string, number | string | string[] | undefined>>;
  hijack(): unknown;
  log: Log;
}

interface Log {
  error(...what: unknown[]): void;
}

/**
 * Keeps a failure out of the log that comes after the handler has been answered for, and of the same cancellation: it
 * may take its time to clean up. Fastify can't answer that any more, and logs it through the reply as an error.
 *
 * Here rather than around the handler: no other request pays for it, and whoever calls the handler gets what it returns.
 */
export function quieten(reply: FastifyLike, isLate: (error: unknown) => boolean): void {
  const { log } = reply;
  // Not of the log itself: it may be frozen.
  reply.log = new Proxy({} as Log, {
    get(_, key) {
      const value: unknown = Reflect.get(log, key);
      if (typeof value !== "function") return value;
      return (...what: unknown[]): unknown => {
        if (key === "error" && isLate((what[0] as { err?: unknown } | undefined)?.err)) return undefined;
        return Reflect.apply(value, log, what);
      };
    },
  });
}
