import { sleep, spawn, withScope, type Scope, type Task } from "bough";

/** Anything that is connected and can be hung up: a `net.Socket`, for one. */
export interface Connection {
  destroy(): unknown;
}

/** Connects to `address`, or rejects. Gives up when `scope` is cancelled, and settles only when nothing is left. */
export type Connect<A, C extends Connection> = (scope: Scope, address: A) => Promise<C>;

/**
 * Connects to whichever of `addresses` answers first (RFC 8305, section 5). An attempt gets a head start of
 * `delay` before the next one begins; one that fails lets the next begin at once.
 *
 * **Cancellation:** the attempts are daemons: they are cancelled, and awaited, as soon as there is a winner.
 * When `scope` is cancelled they all are. Either way no connection is left but the one that is returned.
 *
 * @param addresses - In the order of preference; the families already interleaved.
 * @param options - `delay` in ms; RFC 8305 recommends 250.
 * @throws {AggregateError} If every attempt failed; its errors are in the order of `addresses`.
 */
export function happyEyeballs<A, C extends Connection>(
  scope: Scope,
  addresses: readonly A[],
  connect: Connect<A, C>,
  { delay = 250 }: { readonly delay?: number } = {},
): Promise<C> {
  return withScope(scope, { name: "happy-eyeballs", supervise: true }, async (scope) => {
    const attempts: Task<C>[] = [];
    const open = new Set<C>();
    // Runs when all attempts have settled: two may have connected in the same instant.
    scope.defer(() => open.forEach((connection) => connection.destroy()));

    const attempt = (address: A): Task<C> => {
      const run = async (scope: Scope): Promise<C> => {
        const connection = await connect(scope, address);
        open.add(connection);
        return connection;
      };
      return spawn(scope, run, { name: String(address), daemon: true });
    };

    for (const address of addresses) {
      const latest = attempt(address);
      attempts.push(latest);
      // A success ends the race; a failure of the latest attempt, or the end of its head start, goes on.
      await withScope(scope, { name: "head start" }, (scope) => {
        const pause = spawn(scope, (scope) => sleep(scope, delay), { name: "pause", daemon: true });
        return Promise.race([Promise.any(attempts), latest, pause]);
      }).catch(() => {});
      scope.throwIfCancelled();
      if (open.size > 0) break;
    }
    const winner = await Promise.any(attempts).finally(() => scope.throwIfCancelled());
    open.delete(winner);
    return winner;
  });
}
