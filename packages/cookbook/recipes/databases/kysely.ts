import type { Scope } from "bough";
import type { AbortableQueryOptions } from "kysely";

/** Options for `execute`: the database stops the query when `scope` is cancelled. */
export function within(scope: Scope): AbortableQueryOptions {
  return { signal: scope.signal, inflightQueryAbortStrategy: "cancel query" };
}

// const users = await db.selectFrom("users").selectAll().execute(within(scope));
