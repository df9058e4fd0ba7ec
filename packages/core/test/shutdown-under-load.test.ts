import http from "node:http";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { Child } from "./support/child.js";
import { deferred } from "./support/deferred.js";
import { scriptFolder, type ScriptFolder } from "./support/run-script.js";

// A process whose server is under a steady stream of requests is told to stop, in the middle of it.

const CLIENTS = 12;
const SIZE = 20_000;

let scripts: ScriptFolder;
beforeAll(async () => {
  scripts = await scriptFolder("process", "http", "express", "fastify");
});
afterAll(() => scripts.remove());

/** The common part of all servers: two tasks create the answer, and one handler is stuck. */
const shared = `
  const work = async (scope, body) => {
    await Promise.all([spawn(scope, (task) => sleep(task, Math.random() * 20)), spawn(scope, async () => 1)]);
    return JSON.stringify({ id: body.id, filler: "x".repeat(${SIZE}) });
  };
  const report = ({ stuck }) => log("stuck", stuck.map(({ path }) => path).join());
`;

const hosts: Record<string, string> = {
  "node:http": `
    const { createServer } = await import("node:http");
    const { json } = await import("node:stream/consumers");
    const server = createServer(async (request, response) => {
      if (request.url === "/stuck") return;
      response.end(await work(requestScope(request, response), await json(request)));
    });
    const requests = serverScope(server, { grace: 500 });
    scope.defer(async () => report(await requests.shutdown()));
    server.listen(0, "127.0.0.1", () => log("port", server.address().port, "."));
  `,
  Express: `
    const { default: express } = await import(${JSON.stringify(import.meta.resolve("express"))});
    const app = express();
    app.use(expressBough({ grace: 500 }), express.json());
    app.post("/", async (request, response) => response.end(await work(request.scope, request.body)));
    app.get("/stuck", () => undefined);
    const server = app.listen(0, "127.0.0.1", () => log("port", server.address().port, "."));
    scope.defer(async () => report(await serverScope(server).shutdown()));
  `,
  Fastify: `
    const { default: Fastify } = await import(${JSON.stringify(import.meta.resolve("fastify"))});
    const app = Fastify({ logger: { level: "warn", stream: { write: (line) => report(JSON.parse(line)) } } });
    await app.register(fastifyBough, { grace: 500 });
    app.post("/", async (request) => work(request.scope, request.body));
    app.get("/stuck", () => new Promise(() => undefined));
    scope.defer(() => app.close());
    await app.listen({ port: 0, host: "127.0.0.1" });
    log("port", app.server.address().port, ".");
  `,
};

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

async function send(port: number, agent: http.Agent | undefined, id: number | "stuck"): Promise<Answer> {
  const isStuck = id === "stuck";
  const headers = { "content-type": "application/json" };
  const request = http.request({
    host: "127.0.0.1",
    port,
    agent,
    headers,
    method: isStuck ? "GET" : "POST",
    path: isStuck ? "/stuck" : "/",
  });
  const response = new Promise<http.IncomingMessage>((resolve, reject) => {
    request.once("response", resolve);
    request.once("error", reject);
  });
  request.end(isStuck ? undefined : JSON.stringify({ id }));
  const { statusCode } = await response;
  return { status: statusCode, body: await text(await response) }; // rejects when it is cut off
}

describe.each(Object.keys(hosts))("%s under load", (host) => {
  it(
    "rule 32: SIGTERM lets every request that was accepted have its answer, and names the stuck one",
    { timeout: 30_000 },
    async () => {
      const script = `await main(async function api(scope) {${shared}${hosts[host]}
        await sleep(scope, Infinity);
      });`;
      const child = new Child(process.execPath, [scripts.write(script)]);
      onTestFinished(() => child.kill("SIGKILL"));
      await child.printed(" .");
      const port = Number(child.output.split(" ")[1]);

      const inTheMiddle = deferred();
      let ids = 0;
      let complete = 0;
      let refused = 0;
      const bad: unknown[] = [];
      const client = async (): Promise<void> => {
        const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
        onTestFinished(() => agent.destroy());
        for (;;) {
          const id = ids++;
          try {
            const { status, body } = await send(port, agent, id);
            if (status === 503) refused += 1;
            else if ((JSON.parse(body) as { id: number; filler: string }).id === id) complete += 1;
            else bad.push(body);
            if (complete === 300) inTheMiddle.resolve();
          } catch (error) {
            // Connections that were never accepted may be refused.
            if ((error as { code?: string }).code !== "ECONNREFUSED") bad.push(error);
            return;
          }
        }
      };
      const stuck = send(port, undefined, "stuck");
      const clients = Promise.all(Array.from({ length: CLIENTS }, client));
      await inTheMiddle.promise;
      child.kill("SIGTERM");
      await clients;
      expect(await stuck).toMatchObject({ status: 503 });
      expect(bad).toEqual([]);
      expect(complete).toBeGreaterThanOrEqual(300);
      expect(refused).toBeLessThanOrEqual(CLIENTS);
      expect(await child.ending()).toMatchObject({ code: 143, stderr: "" });
      expect(child.output).toContain("\nstuck server/GET /stuck\n");
    },
  );
});
