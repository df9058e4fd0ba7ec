import pg from "pg";
import { PgBoss } from "pg-boss";
import { optionNames } from "../errors/option-names.js";
import { checkOptionsObject, checkType, outOfRange, requireCount } from "../errors/validate.js";
import type { Scope } from "../kernel/scope.js";
import type { Engine, EngineConnection } from "../remote/engine.js";
import { reporterOf } from "../remote/reporter.js";
import { withTimeLimit } from "../remote/time.js";
import { PgBossConnection } from "./connection.js";
import { Listener } from "./listener.js";
import { quote } from "./names.js";
import { createTables } from "./side-tables.js";

/** The options of {@link pgBossEngine}. */
export interface PgBossEngineOptions {
  /** The URL of the database: `postgresql://user:password@host:5432/database`. */
  readonly connectionString: string;
  /** The schema of pg-boss. Default `"pgboss"`. */
  readonly schema?: string | undefined;
  /** The schema of the two tables that are added, for leases and notes. Default `"bough"`. */
  readonly sideSchema?: string | undefined;
  /** Seconds until the job of a dead worker is started elsewhere; all processes need the same. At least 10. Default 15. */
  readonly lockSeconds?: number | undefined;
  /** How many connections a process has, in addition to the listening one. Default 4. */
  readonly connections?: number | undefined;
  /** Milliseconds between two looks for jobs when no hint comes. Default 1,000. */
  readonly poll?: number | undefined;
  /** Receives errors that end nothing, such as a connection that is lost. Default: they are ignored. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

const names = optionNames<PgBossEngineOptions>({
  connectionString: true,
  schema: true,
  sideSchema: true,
  lockSeconds: true,
  connections: true,
  poll: true,
  onError: true,
});

/**
 * Jobs on Postgres, by pg-boss 12: for `connectRemote` and `serve`.
 *
 * The first use creates the tables of pg-boss, and two tables of bough in another schema.
 *
 * @param options - The database and others.
 * @returns The engine.
 * @throws {TypeError | RangeError} If an option is bad.
 * @example
 * ```ts no-run
 * await withScope(async (scope) => {
 *   const engine = pgBossEngine({ connectionString: "postgresql://localhost/jobs" });
 *   const remote = await connectRemote(scope, engine);
 *   console.log(await remote.spawn(scope, defineJob<number, number>("double"), 21));
 * });
 * ```
 */
export function pgBossEngine(options: PgBossEngineOptions): Engine {
  checkOptionsObject("pgBossEngine", options, names, '{ connectionString: "postgresql://…" }');
  const { connectionString, lockSeconds = 15, connections = 4, poll = 1_000 } = options;
  if (typeof connectionString !== "string" || connectionString === "")
    throw outOfRange("pgBossEngine", "connectionString must be the URL of a database", connectionString);
  checkType("pgBossEngine", "schema", "string", options.schema);
  checkType("pgBossEngine", "sideSchema", "string", options.sideSchema);
  requireCount("pgBossEngine", "lockSeconds", lockSeconds, 10);
  requireCount("pgBossEngine", "connections", connections, 1);
  requireCount("pgBossEngine", "poll", poll, 1);
  checkType("pgBossEngine", "onError", "function", options.onError);
  return { name: "pg-boss", open: (scope) => open(scope, { ...options, lockSeconds, connections, poll }) };
}

type Checked = PgBossEngineOptions & {
  readonly lockSeconds: number;
  readonly connections: number;
  readonly poll: number;
};

async function open(scope: Scope, options: Checked): Promise<EngineConnection> {
  const { connectionString, connections, schema = "pgboss", sideSchema = "bough" } = options;
  const onError = reporterOf(options.onError);
  const pool = new pg.Pool({
    connectionString,
    max: connections,
    connectionTimeoutMillis: 2_000,
    keepAlive: true,
    application_name: "bough",
  });
  pool.on("error", onError); // without a listener, a restart of the server would end this process
  scope.defer(() => withTimeLimit(pool.end(), 2_000).catch(onError));
  const boss = new PgBoss({
    db: { executeSql: (text, values) => pool.query(text, values) },
    schema,
    schedule: false,
    superviseIntervalSeconds: 1,
    monitorIntervalSeconds: 1,
  });
  boss.on("error", onError);
  // Before the start: a start that fails, or is under way when the scope ends, leaves timers behind, too.
  scope.defer(() => withTimeLimit(boss.stop({ graceful: false, close: false }), 2_000).catch(onError));
  await boss.start();
  await createTables(pool, quote(sideSchema));
  const listener = new Listener({ connectionString }, onError);
  scope.defer(() => withTimeLimit(listener.close(), 2_000).catch(onError));
  const connection = new PgBossConnection({
    pool,
    boss,
    listener,
    schemas: { boss: quote(schema), side: quote(sideSchema) },
    lockSeconds: options.lockSeconds,
    poll: options.poll,
    onError,
  });
  scope.defer(() => connection.close());
  return connection;
}
