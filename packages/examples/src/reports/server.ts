// The reports as a process: answers until Ctrl-C or SIGTERM, lets running reports finish, cancels the others.

import { sleep } from "bough";
import { main } from "bough/process";
import { startPostgres } from "./postgres.js";
import { createReports } from "./reports.js";

const numberOf = (name: string, fallback: number): number => Number(process.env[name] ?? fallback);

await main(async function reports(scope) {
  const database = await startPostgres(scope);
  const app = await createReports({
    database,
    timeout: numberOf("TIMEOUT", 30_000),
    grace: numberOf("GRACE", 5_000),
    applicationName: process.env["APPLICATION_NAME"] ?? "reports",
    logger: { level: "warn" },
  });
  scope.defer(() => app.close()); // before Postgres is stopped
  const url = await app.listen({ host: "127.0.0.1", port: numberOf("PORT", 0) });
  console.log(`listening on ${url}, try ${url}/reports/5`);
  await sleep(scope, Infinity);
});
