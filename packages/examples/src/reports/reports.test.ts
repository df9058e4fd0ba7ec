import { spawn as startProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { createScope, spawn, withScope, type Scope, type ScopeHandle, type Task } from "bough";
import type { FastifyInstance } from "fastify";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { active, gone, watchActivity, type Activity, type Watcher } from "./activity.js";
import { whyNotEmbedded } from "./embedded.js";
import { openPool, type Pool } from "./pool.js";
import { startPostgres } from "./postgres.js";
import { cancelName, query } from "./query.js";
import { createReports, type ReportsOptions } from "./reports.js";
import { startServer } from "./server-process.js";

const LONG = "/reports/100000";
const folder = fileURLToPath(new URL("../..", import.meta.url));

const missing = whyNotEmbedded();
const skipped = missing !== undefined && !process.env["DATABASE_URL"];
const because = (skip: boolean): string => (skip ? ` (skipped: ${missing})` : "");

/** A request by a socket of its own, which shows every answer there is. */
class Client {
  readonly #socket: Socket;
  /** The received data, once the connection is closed. */
  readonly received: Promise<string>;

  constructor(url: string, path: string, headers: Record<string, string> = {}) {
    const { hostname, port } = new URL(url);
    this.#socket = connect(Number(port), hostname);
    this.received = text(this.#socket).catch(() => "");
    const lines = Object.entries({ host: hostname, connection: "close", ...headers });
    this.#socket.write(
      `GET ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`,
    );
  }

  hangUp(): void {
    this.#socket.destroy();
  }

  /** The status of each answer. */
  async answers(): Promise<number[]> {
    return [...(await this.received).matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
  }
}

const pids = (rows: readonly Activity[]): number[] => rows.map(({ pid }) => pid).toSorted((a, b) => a - b);
const idle = (rows: readonly Activity[]): boolean => rows.every(({ state }) => state === "idle");

describe.skipIf(skipped)(`reports${because(skipped)}`, { timeout: 20_000 }, () => {
  let root: ScopeHandle;
  let database: string;
  beforeAll(async () => {
    root = createScope({ name: "tests" });
    database = await startPostgres(root);
  }, 60_000);
  afterAll(() => root?.close());

  let applications = 0;
  let applicationName: string;
  /** The scope of one test. */
  let scope: ScopeHandle;
  let watcher: Watcher;
  beforeEach(async () => {
    applicationName = `reports-${process.pid}-${(applications += 1)}`;
    scope = createScope(root, { name: "test" });
    watcher = await watchActivity(scope, database, applicationName);
  });
  // No test leaves a connection behind.
  afterEach(async () => {
    await scope.close();
    await withScope(root, async (own) => {
      for (const name of [applicationName, cancelName(applicationName)])
        await (await watchActivity(own, database, name)).until(gone);
    });
  });

  describe("the app", () => {
    const log: { level: number; msg: string; statusCode?: number }[] = [];
    const complaints = (): unknown[] => log.filter(({ level }) => level > 30);
    const tracesOf = (count: number): unknown[] =>
      Array.from({ length: count }, () =>
        expect.objectContaining({ level: 40, err: expect.anything() as unknown }),
      );

    async function start(
      options: Partial<ReportsOptions> = {},
    ): Promise<{ app: FastifyInstance; url: string }> {
      log.length = 0;
      const stream = { write: (line: string) => void log.push(JSON.parse(line) as (typeof log)[number]) };
      const app = await createReports({
        database,
        applicationName,
        timeout: 60_000,
        grace: 60_000,
        logger: { level: "info", stream },
        ...options,
      });
      scope.defer(() => app.close());
      return { app, url: await app.listen({ host: "127.0.0.1", port: 0 }) };
    }

    it("answers with a report, and its connections are back in the pool", async () => {
      const { app, url } = await start();
      const response = await fetch(`${url}/reports/10?every=2`);
      expect(response.status).toBe(200);
      expect(await response.json()).toEqual({
        days: 10,
        total: 535,
        best: [
          { day: 5, sales: 85 },
          { day: 7, sales: 59 },
          { day: 1, sales: 37 },
        ],
      });
      const rows = await watcher.until(idle);
      expect(rows).toHaveLength(2);
      await (await fetch(`${url}/reports/1`)).text();
      expect(pids(await watcher.until(idle))).toEqual(pids(rows));
      await app.close();
      await watcher.until(gone);
    });

    it("cancels the queries in the database when the client hangs up", async () => {
      const { url } = await start();
      const client = new Client(url, LONG);
      const running = await watcher.until(active(2));
      client.hangUp();
      const after = await watcher.until(active(0));
      expect(idle(after)).toBe(true);
      expect(pids(after)).toEqual(pids(running));
      // They are as good as new. The pool may have opened another before it had heard of that.
      expect((await fetch(`${url}/reports/2`)).status).toBe(200);
      expect(pids(await watcher.until(idle))).toEqual(expect.arrayContaining(pids(running)));
      expect(log.filter(({ statusCode }) => statusCode === 499)).toHaveLength(1);
      expect(complaints()).toEqual([]);
    });

    it("cancels them when the request's time is up, and answers 503 once", async () => {
      const { url } = await start({ timeout: 1_000 });
      const client = new Client(url, LONG);
      const running = await watcher.until(active(2));
      expect(await client.answers()).toEqual([503]);
      const after = await watcher.until(active(0));
      expect(pids(after)).toEqual(pids(running));
      expect(complaints()).toEqual(tracesOf(1)); // 503 and 504 are logged once, with their error
    });

    it("cancels them when the caller's time is up, and answers 504 once", async () => {
      const { url } = await start();
      const client = new Client(url, LONG, { "x-request-timeout-ms": "1000" });
      const running = await watcher.until(active(2));
      expect(await client.answers()).toEqual([504]);
      const after = await watcher.until(active(0));
      expect(pids(after)).toEqual(pids(running));
      expect(complaints()).toEqual(tracesOf(1)); // 503 and 504 are logged once, with their error
    });

    it("cancels one query when the other fails, and answers with the failure", async () => {
      const { url } = await start();
      const client = new Client(url, `${LONG}?every=0`);
      expect(await client.answers()).toEqual([500]);
      expect(await client.received).toContain("step size cannot equal zero");
      // The handler has waited: nothing runs when the client has its answer.
      const rows = await watcher.activity();
      expect(rows).toHaveLength(2);
      expect(idle(rows)).toBe(true);
    });

    it("releases a client that waits for a connection, and no other client", async () => {
      const { url } = await start({ connections: 2 });
      const first = new Client(url, LONG);
      const running = await watcher.until(active(2));
      const second = new Client(url, "/reports/1");
      await expect.poll(() => log.filter(({ msg }) => msg === "incoming request").length).toBe(2);
      second.hangUp();
      await expect.poll(() => log.filter(({ statusCode }) => statusCode === 499).length).toBe(1);
      expect(pids(await watcher.until(active(2)))).toEqual(pids(running));
      // Both are taken, and the request to cancel them gets through nevertheless.
      first.hangUp();
      expect(pids(await watcher.until(active(0)))).toEqual(pids(running));
      expect((await fetch(`${url}/reports/1`)).status).toBe(200);
    });

    it("lets a report finish when it is closed, and then its connections are closed", async () => {
      const { app, url } = await start();
      const client = new Client(url, "/reports/25");
      await watcher.until(active(2));
      await app.close();
      expect(await client.answers()).toEqual([200]);
      await watcher.until(gone);
    });

    it("cancels what does not finish in time when it is closed, and answers 503 once", async () => {
      const { app, url } = await start({ grace: 50 });
      const clients = [new Client(url, LONG), new Client(url, LONG)];
      await watcher.until(active(4));
      await app.close();
      expect(app.scope.state).toBe("closed");
      await watcher.until(gone);
      for (const client of clients) expect(await client.answers()).toEqual([503]);
      expect(complaints()).toEqual(tracesOf(2)); // 503 and 504 are logged once, with their error
    });
  });

  it("SIGTERM ends a process with its queries, answers 503 once, and leaves no connection", async () => {
    const server = await startServer(scope, {
      DATABASE_URL: database,
      APPLICATION_NAME: applicationName,
      GRACE: "50",
    });
    const client = new Client(server.url, LONG);
    await watcher.until(active(2));
    server.kill("SIGTERM");
    expect(await client.answers()).toEqual([503]);
    expect(await server.ended).toBe(143);
    await watcher.until(gone);
    const [listening, answered, ...rest] = server.output().trim().split("\n");
    expect(listening).toContain(server.url);
    expect(JSON.parse(answered ?? "")).toMatchObject({ level: 40, err: { kind: "shutdown" } });
    expect(rest).toEqual([]);
  });

  describe("query()", () => {
    const SLEEP = "select pg_sleep(60)";

    function start(pool: Pool): Task<unknown[]> {
      return spawn(scope, (own: Scope) => query(own, pool, SLEEP), { supervise: true });
    }

    const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
      promise.then(
        () => expect.unreachable(),
        (error: unknown) => error,
      );

    it("is over in the database when it rejects, with the reason", async () => {
      const pool = openPool(scope, { connectionString: database, application_name: applicationName });
      const task = start(pool);
      await watcher.until(active(1));
      task.cancel("enough");
      expect(await failureOf(task)).toMatchObject({ kind: "explicit", cause: "enough" });
      const rows = await watcher.activity();
      expect(rows).toHaveLength(1);
      expect(idle(rows)).toBe(true);
      expect(pool.clients.idleCount).toBe(1);
    });

    it("does not touch the database in a scope that is cancelled already", async () => {
      const pool = openPool(scope, { connectionString: database, application_name: applicationName });
      const own = createScope(scope);
      own.cancel();
      expect(await failureOf(query(own, pool, SLEEP))).toBe(own.reason);
      expect(pool.clients.totalCount).toBe(0);
    });

    it("asks again when the request to cancel has overtaken the query", async () => {
      const pool = openPool(scope, { connectionString: database, application_name: applicationName });
      await query(scope, pool, "select 1");
      const taken: pg.PoolClient[] = [];
      pool.clients.once("acquire", (client) => {
        client.connection.stream.cork(); // what is written from now on waits
        taken.push(client);
      });
      const task = start(pool);
      await expect.poll(() => taken.length).toBe(1);
      await new Promise(setImmediate);
      task.cancel();
      // The second connection has asked, and in vain.
      const asking = await watchActivity(scope, database, cancelName(applicationName));
      await asking.until((rows) =>
        rows.some((row) => row.state === "idle" && row.query.includes("pg_cancel_backend")),
      );
      taken[0]?.connection.stream.uncork();
      await failureOf(task);
      expect(idle(await watcher.activity())).toBe(true);
    });

    it("does not pass for cancelled when the database could not be asked", async () => {
      const pool = openPool(scope, { connectionString: database, application_name: applicationName });
      const deaf = { ...pool, config: { ...pool.config, host: "/nowhere", connectionString: undefined } };
      const own = createScope(scope);
      const failure = failureOf(query(own, deaf as Pool, SLEEP));
      const [running] = await watcher.until(active(1));
      own.cancel();
      expect(await failure).not.toBe(own.reason);
      expect(String(await failure)).toContain(`backend ${running?.pid} may still run`);
      expect(pool.clients.totalCount).toBe(0);
      expect(pids(await watcher.until(active(1)))).toEqual([running?.pid]); // true
      await query(scope, pool, "select pg_cancel_backend($1)", [running?.pid]);
    });

    it("passes the database's failure on, also that of the database's time limit", async () => {
      const pool = openPool(scope, {
        connectionString: database,
        application_name: applicationName,
        statement_timeout: 20,
      });
      expect(await failureOf(query(scope, pool, SLEEP))).toMatchObject({ code: "57014" });
      expect(await query(scope, pool, "select 1 as one")).toEqual([{ one: 1 }]);
    });
  });

  it("what this is for: a query goes on when its client's socket is destroyed", async () => {
    const client = new pg.Client({ connectionString: database, application_name: applicationName });
    client.on("error", () => undefined);
    await client.connect();
    const lost = client.query("select pg_sleep(60)").catch(() => "lost");
    const rows = await watcher.until(active(1));
    client.connection.stream.destroy();
    expect(await lost).toBe("lost");
    for (let polls = 0; polls < 20; polls += 1) expect(pids(await watcher.activity())).toEqual(pids(rows));
    const pool = openPool(scope, { connectionString: database });
    await query(scope, pool, "select pg_cancel_backend($1)", [rows[0]?.pid]);
    await watcher.until(gone);
  });

  it("main.ts shows all this, and exits with 0", async () => {
    const child = startProcess(process.execPath, ["--import", "tsx", "src/reports/main.ts"], {
      cwd: folder,
      env: { ...process.env, DATABASE_URL: database },
    });
    scope.defer(() => void child.kill("SIGKILL"));
    const [output, errors, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "close"),
    ]);
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    expect(output.match(/client: \d+/g)).toEqual(
      [200, 503, 504, 500, 503, 503].map((status) => `client: ${status}`),
    );
    expect(output.trimEnd().endsWith("(no connections)")).toBe(true);
  });
});

const noBuild = missing !== undefined;
it.skipIf(noBuild)(
  `startPostgres() leaves nothing behind, not even after kill -9${because(noBuild)}`,
  { timeout: 40_000 },
  async () => {
    const scope = createScope();
    const parent = await mkdtemp(join(tmpdir(), "bough-reports-"));
    scope.defer(() => rm(parent, { recursive: true, force: true }));
    await chmod(parent, 0o1777); // Postgres may run as another user than this
    const server = await startServer(scope, { DATABASE_URL: "", TMPDIR: parent });
    expect((await fetch(`${server.url}/reports/1`)).status).toBe(200);
    const folders = await readdir(parent);
    expect(folders.filter((name) => name.startsWith("bough-postgres-"))).toHaveLength(1);
    server.kill("SIGKILL");
    expect(await server.ended).toBe("SIGKILL");
    await expect
      .poll(async () => (await readdir(parent)).filter((name) => name.startsWith("bough-postgres-")), {
        timeout: 10_000,
      })
      .toEqual([]);
    await scope.close();
  },
);
