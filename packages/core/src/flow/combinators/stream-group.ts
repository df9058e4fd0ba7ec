import { DAEMON, DELIVERED, FAILS_PARENT, QUEUED } from "../../kernel/state.js";
import type { Promised } from "../../kernel/promised.js";
import type { Scope } from "../../kernel/scope.js";
import { fail } from "../../kernel/lifecycle.js";
import { startChild } from "../../task/start-child.js";
import { Feed, type Sink } from "./feed.js";
import { Group } from "./group.js";
import type { Mapper } from "./map.js";
import type { Failure, Outlet } from "./outlet.js";
import { openSource, type Source } from "./source.js";

/**
 * The scope of a stream as its owner sees it. A daemon: a stream that nobody reads on must not keep the owner from
 * ending. It outlives a failed {@link StreamGroup} until somebody has taken the failure. If nobody does, that is its
 * owner's: as a handle's failure that no `join` or `close` receives. Its promise resolves when it has settled.
 */
export class StreamScope extends Group<void> {
  /**
   * @param end - Called when it settles; says whether the failure is taken, which a mere reason always is.
   */
  constructor(site: string | undefined, scope: Scope, end: (failure?: Failure) => boolean) {
    super("stream", site, scope, DAEMON | FAILS_PARENT | QUEUED);
    const node = this.node;
    const { resolve } = node.observer as Promised<void>;
    node.observer = {
      resolve: () => {
        end();
        resolve(undefined);
      },
      reject: (error) => {
        if (!end({ error, isReason: node.rarely?.errors === undefined })) node.flags &= ~DELIVERED;
        resolve(undefined);
      },
    };
  }

  /** Somebody has taken the failure. */
  delivered(): void {
    this.node.flags |= DELIVERED;
  }

  succeeded(): void {}
  failed(): void {}
}

/** The work of a stream: the source and the items in flight. */
export class StreamGroup<T, R> extends Group<void> implements Sink<T> {
  readonly #fn: Mapper<T, R>;
  readonly #outlet: Outlet<R>;
  readonly #concurrency: number;
  readonly #feed: Feed<T>;
  #started = 0;

  constructor(
    site: string | undefined,
    scope: Scope,
    fn: Mapper<T, R>,
    outlet: Outlet<R>,
    concurrency: number,
  ) {
    super("items", site, scope, QUEUED);
    this.node.rare().bodyIs = "source";
    this.#fn = fn;
    this.#outlet = outlet;
    this.#concurrency = concurrency;
    this.#feed = new Feed(this.node, this);
  }

  run(items: Source<T>): Promise<void> {
    const body = (own: Scope): Promise<void> => this.#feed.pull(openSource("stream", items, own));
    startChild(this.node, undefined, this.site, body, "stream");
    return this.promise;
  }

  /** The consumer has asked for one more. */
  wake(): void {
    this.#feed.wake();
  }

  /** What the consumer has in hand counts until it asks for the next. */
  hasRoom(): boolean {
    return this.#started < this.#outlet.requested - 1 + this.#concurrency;
  }

  accept(item: T, index: number): void {
    this.#started += 1;
    const fn = this.#fn;
    this.start(fn, (own) => fn(item, own, index), index);
  }

  succeeded(value: unknown, index: number): void {
    this.#outlet.push(value as R, index);
  }

  failed(error: unknown): void {
    fail(this.node, error);
  }
}
