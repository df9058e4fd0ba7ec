import { sleep, type Scope } from "bough";
import pg from "pg";

/** A row of `pg_stat_activity`: what one connection to the database is doing, or did last. */
export interface Activity {
  readonly pid: number;
  readonly state: string | null;
  /** Since the query began. */
  readonly ms: number | null;
  readonly query: string;
}

/** Looks at `pg_stat_activity`. Made by {@link watchActivity}. */
export interface Watcher {
  /** The connections of that name, now. */
  readonly activity: () => Promise<Activity[]>;
  /** Polls until `condition` holds. @throws {Error} (as a rejection) If it still does not after 500 polls. */
  readonly until: (condition: (rows: readonly Activity[]) => boolean) => Promise<Activity[]>;
}

const ACTIVITY = `
  select pid, state, (extract(epoch from clock_timestamp() - query_start) * 1000)::int as ms,
         left(regexp_replace(trim(query, E'\\n '), '\\s+', ' ', 'g'), 56) as query
  from pg_stat_activity where application_name = $1 order by backend_start, pid`;

/** Connects to the database until `scope` ends, to see what the connections with that name do. */
export async function watchActivity(
  scope: Scope,
  database: string,
  applicationName: string,
): Promise<Watcher> {
  const client = new pg.Client({ connectionString: database, application_name: "watcher" });
  scope.defer(() => client.end());
  await client.connect();
  const activity = async (): Promise<Activity[]> =>
    (await client.query<Activity>(ACTIVITY, [applicationName])).rows;
  return {
    activity,
    until: async (condition) => {
      for (let polls = 500; polls > 0; polls -= 1) {
        const rows = await activity();
        if (condition(rows)) return rows;
        await sleep(scope, 10);
      }
      throw new Error(`pg_stat_activity still is:\n${formatActivity(await activity())}`);
    },
  };
}

/** So many of the connections run a query. */
export const active =
  (count: number) =>
  (rows: readonly Activity[]): boolean =>
    rows.filter(({ state }) => state === "active").length === count;

/** No connection is left. */
export const gone = (rows: readonly Activity[]): boolean => rows.length === 0;

export function formatActivity(rows: readonly Activity[]): string {
  if (rows.length === 0) return "    (no connections)";
  return rows
    .map(({ pid, state, ms, query }) => {
      const doing = state === "active" ? `${String(ms).padStart(5)} ms  ${query}` : "";
      return `    ${String(pid).padStart(7)}  ${(state ?? "starting").padEnd(7)} ${doing}`.trimEnd();
    })
    .join("\n");
}
