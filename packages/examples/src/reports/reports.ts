import { all } from "bough";
import { fastifyBough } from "bough/fastify";
import Fastify, { type FastifyInstance, type FastifyServerOptions } from "fastify";
import { openPool } from "./pool.js";
import { query } from "./query.js";

export interface ReportsOptions {
  /** The URL of a Postgres. */
  readonly database: string;
  /** Milliseconds that a report has, unless its caller's header says less. */
  readonly timeout: number;
  /** Milliseconds that a shutdown lets reports finish. */
  readonly grace: number;
  /** Connections to the database. Default 10. */
  readonly connections?: number;
  /** The name of the connections in `pg_stat_activity`. Default `"reports"`. */
  readonly applicationName?: string;
  readonly logger?: FastifyServerOptions["logger"];
}

/** The sales of each day. Every day takes 20 ms: so much has been sold. */
const SALES = `
  select day, day * 37 % 100 as sales, pg_sleep(0.02)
  from generate_series(1, $1::int) as day`;

const TOTAL = `select count(*)::int as days, sum(sales)::int as total from (${SALES}) as sales`;

const BEST = `
  select day, sales from (${SALES}) as sales
  where day in (select generate_series(1, $1::int, $2::int))
  order by sales desc, day limit 3`;

interface Total {
  readonly days: number;
  readonly total: number;
}

interface Best {
  readonly day: number;
  readonly sales: number;
}

interface Report extends Total {
  readonly best: readonly Best[];
}

/** An app with one route, `/reports/:days`, which asks the database two things at once. `app.close()` shuts it down. */
export async function createReports(options: ReportsOptions): Promise<FastifyInstance> {
  const { database, timeout, grace, connections = 10, applicationName = "reports", logger = false } = options;
  const app = Fastify({ logger });
  await app.register(fastifyBough, { timeout, grace, deadlineHeader: true });
  // The server's scope ends when its requests have, and then closes the pool.
  const pool = openPool(app.scope, {
    connectionString: database,
    max: connections,
    application_name: applicationName,
    connectionTimeoutMillis: 5_000,
  });
  app.get<{ Params: { days: number }; Querystring: { every: number } }>(
    "/reports/:days",
    {
      schema: {
        params: { type: "object", properties: { days: { type: "integer", minimum: 1 } } },
        querystring: { type: "object", properties: { every: { type: "integer", default: 1 } } },
      },
    },
    async (request): Promise<Report> => {
      const { days } = request.params;
      const { every } = request.query;
      const [[total], best] = await all(request.scope, [
        (scope) => query<Total>(scope, pool, TOTAL, [days]),
        (scope) => query<Best>(scope, pool, BEST, [days, every]),
      ]);
      return { days, total: total?.total ?? 0, best };
    },
  );
  return app;
}
