import { Redis, type RedisOptions } from "ioredis";
import { optionNames } from "../errors/option-names.js";
import { checkOptionsObject, checkType, wrongType } from "../errors/validate.js";
import type { Scope } from "../kernel/scope.js";
import type { Engine, EngineConnection } from "../remote/engine.js";
import { reporterOf } from "../remote/reporter.js";
import { withTimeLimit } from "../remote/time.js";
import { BullmqConnection } from "./connection.js";
import { Keys } from "./redis-data.js";

/** How long to wait for a server that is starting, in ms. ioredis would never give up. */
const OPEN_LIMIT = 5_000;

/** The options of {@link bullmqEngine}. */
export interface BullmqEngineOptions {
  /** The URL of Redis, 6.2 or later, or the options of ioredis. */
  readonly connection: string | RedisOptions;
  /** The prefix of all keys. Default `"bough"`. */
  readonly prefix?: string | undefined;
  /** Receives errors that end nothing, such as a connection that is lost. Default: they are ignored. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

const names = optionNames<BullmqEngineOptions>({ connection: true, prefix: true, onError: true });

/**
 * Jobs on Redis, by BullMQ 6: for `connectRemote` and `serve`.
 *
 * Redis must not evict keys (`maxmemory-policy noeviction`). A job with any `priority` greater than 0 goes to the front of its
 * queue.
 *
 * @param options - The server and others.
 * @returns The engine.
 * @throws {TypeError} If an option is bad.
 * @example
 * ```ts no-run
 * await withScope(async (scope) => {
 *   const remote = await connectRemote(scope, bullmqEngine({ connection: "redis://localhost:6379" }));
 *   console.log(await remote.spawn(scope, defineJob<number, number>("double"), 21));
 * });
 * ```
 */
export function bullmqEngine(options: BullmqEngineOptions): Engine {
  checkOptionsObject("bullmqEngine", options, names, '{ connection: "redis://…" }');
  const { connection } = options;
  if (typeof connection !== "string" && (typeof connection !== "object" || connection === null))
    throw wrongType("bullmqEngine", "connection must be the URL of Redis, or options of ioredis", connection);
  checkType("bullmqEngine", "prefix", "string", options.prefix);
  checkType("bullmqEngine", "onError", "function", options.onError);
  return { name: "BullMQ", open: (scope) => open(scope, options) };
}

async function open(
  scope: Scope,
  { connection, prefix = "bough", ...options }: BullmqEngineOptions,
): Promise<EngineConnection> {
  const onError = reporterOf(options.onError);
  const client = connectTo(connection, {});
  // A connection with subscriptions may not send what the ready check sends. ioredis would renew the subscriptions
  // without a handler for their failure, an unhandled rejection.
  const subscriber = connectTo(connection, { enableReadyCheck: false, autoResubscribe: false });
  for (const each of [client, subscriber]) {
    each.on("error", onError);
    scope.defer(() => each.disconnect());
  }
  const opened = new BullmqConnection({ client, subscriber, keys: new Keys(prefix), onError });
  scope.defer(() => opened.close());
  await withTimeLimit(client.ping(), OPEN_LIMIT);
  return opened;
}

function connectTo(connection: string | RedisOptions, own: RedisOptions): Redis {
  const options: RedisOptions = {
    retryStrategy: (times) => Math.min(50 * times, 500), // BullMQ's own waits a second and more
    connectTimeout: 2_000,
    keepAlive: 5_000,
    reconnectOnError: ({ message }) => message.startsWith("READONLY"), // it is a replica now: look for the primary
  };
  const fixed: RedisOptions = {
    maxRetriesPerRequest: null, // BullMQ demands it; `bough/remote` gives each call a limit
    ...own,
  };
  return typeof connection === "string"
    ? new Redis(connection, { ...options, ...fixed })
    : new Redis({ ...options, ...connection, ...fixed });
}
