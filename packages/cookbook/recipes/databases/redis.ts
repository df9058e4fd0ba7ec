import { cancellable, withScope, type Scope } from "bough";
import type { Redis } from "ioredis";

/** Waits for an element of the list `key` until `scope` is cancelled. */
export function pop(scope: Scope, redis: Redis, key: string): Promise<string> {
  return withScope(scope, { name: `pop ${key}` }, async (own) => {
    const connection = redis.duplicate(); // a blocking command blocks its connection
    own.defer(() => connection.disconnect());
    const found = await cancellable(
      own,
      () => connection.blpop(key, 0),
      () => connection.disconnect(),
    );
    return found?.[1] ?? "";
  });
}
