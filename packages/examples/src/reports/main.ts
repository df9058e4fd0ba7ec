// Every way in which a report can be cut short, and what Postgres says about it. See README.md.

import { sleep, withScope, type Scope } from "bough";
import { main } from "bough/process";
import pg from "pg";
import { active, formatActivity, gone, watchActivity, type Activity } from "./activity.js";
import { startPostgres } from "./postgres.js";
import { createReports } from "./reports.js";
import { startServer } from "./server-process.js";

const LONG = "/reports/100000"; // half an hour

const say = (line: string): void => console.log(line);
const show = (when: string, rows: readonly Activity[]): void => say(`  ${when}:\n${formatActivity(rows)}`);
const answerOf = async (response: Response): Promise<string> =>
  `  client: ${response.status} ${(await response.text()).slice(0, 90)}`;

await main(async function demo(scope) {
  const database = await startPostgres(scope);
  const { activity, until } = await watchActivity(scope, database, "reports");
  const app = await createReports({ database, timeout: 1_000, grace: 200 });
  scope.defer(() => app.close());
  const url = await app.listen({ host: "127.0.0.1", port: 0 });

  /** Waits until no query runs any more, and tells how long that took. */
  async function showEnd(since: number): Promise<void> {
    const rows = await until(active(0));
    show(`${Date.now() - since} ms later`, rows);
  }

  say("\nA report that is ready in time");
  say(await answerOf(await fetch(`${url}/reports/5`)));
  show("afterwards the connections are back in the pool", await activity());

  say("\nThe client hangs up");
  const client = new AbortController();
  const left = fetch(`${url}${LONG}`, { signal: client.signal }).then(
    () => "answered",
    (error: Error) => error.name,
  );
  show("while it waits", await until(active(2)));
  const hungUp = Date.now();
  client.abort();
  say(`  client: ${await left}`);
  await showEnd(hungUp);

  say("\nIts time is up: 1,000 ms in this app");
  const slow = fetch(`${url}${LONG}`);
  show("while it waits", await until(active(2)));
  say(await answerOf(await slow));
  await showEnd(Date.now());

  say("\nIts caller's time is up: 150 ms, says a header");
  say(await answerOf(await fetch(`${url}${LONG}`, { headers: { "x-request-timeout-ms": "150" } })));
  await showEnd(Date.now());

  say("\nOne of its two queries fails");
  say(await answerOf(await fetch(`${url}${LONG}?every=0`)));
  await showEnd(Date.now());

  say("\nFor comparison: a client of pg whose socket is destroyed");
  await withScope(scope, (own) => withoutBough(own, database));

  say("\napp.close(), with a grace period of 200 ms");
  const last = fetch(`${url}${LONG}`);
  show("while it waits", await until(active(2)));
  const closing = Date.now();
  const closed = app.close();
  say(await answerOf(await last));
  await closed;
  show(`closed after ${Date.now() - closing} ms`, await until(gone));

  say("\nSIGTERM, to a process of its own");
  const server = await startServer(scope, { DATABASE_URL: database, GRACE: "200" });
  const interrupted = fetch(`${server.url}${LONG}`);
  show("while it waits", await until(active(2)));
  server.kill("SIGTERM");
  say(await answerOf(await interrupted));
  say(`  server: exit code ${await server.ended}`);
  show("afterwards", await until(gone));
});

async function withoutBough(scope: Scope, database: string): Promise<void> {
  const { activity, until } = await watchActivity(scope, database, "plain");
  const client = new pg.Client({ connectionString: database, application_name: "plain" });
  client.on("error", () => undefined);
  await client.connect();
  const lost = client.query("select pg_sleep(60)").then(
    () => "done",
    (error: Error) => error.message,
  );
  const rows = await until(active(1));
  client.connection.stream.destroy();
  say(`  client: ${await lost}`);
  await sleep(scope, 500);
  show("500 ms later", await activity());
  const watcher = new pg.Client({ connectionString: database });
  scope.defer(() => watcher.end());
  await watcher.connect();
  await watcher.query("select pg_cancel_backend($1)", [rows[0]?.pid]);
  show("cancelled by hand", await until(gone));
}
