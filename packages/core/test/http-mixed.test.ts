import { once } from "node:events";
import http from "node:http";
import type { AddressInfo, Server } from "node:net";
import express from "express";
import Fastify from "fastify";
import { describe, expect, it, onTestFinished } from "vitest";
import { expressBough } from "../src/express/index.js";
import { fastifyBough } from "../src/fastify/index.js";
import { serverScope } from "../src/http/index.js";
import { serverStateOf } from "../src/http/server-scope.js";
import { sleep, spawn, type Scope } from "../src/index.js";

// Ten thousand requests, with parsed bodies, streams and clients that hang up, over connections that are kept alive:
// not one cancelled that was answered, not one that went on when its client had gone, and nothing left behind.

const TOTAL = 5_000;
const CLIENTS = 40;

interface Fate {
  readonly scope: Scope;
  kind?: string;
}

/** By the id of the request. */
type Fates = Map<string, Fate>;

async function work(scope: Scope, id: string, fates: Fates, hangs: boolean): Promise<void> {
  const fate: Fate = { scope };
  fates.set(id, fate);
  scope.onCancel((reason) => (fate.kind = reason.kind));
  void scope.signal;
  await Promise.all([
    spawn(scope, (inner) => sleep(inner, hangs ? 60_000 : 1)),
    spawn(scope, () => Promise.resolve()),
  ]);
}

function overExpress(fates: Fates): Server {
  const app = express();
  app.use(expressBough());
  app.use(express.json());
  app.all("/:id/:what", async (request, response) => {
    const { id, what } = request.params;
    await work(request.scope, id, fates, what === "hang");
    response.json({ id, body: request.body as unknown });
  });
  return http.createServer(app);
}

async function overFastify(fates: Fates): Promise<Server> {
  const app = Fastify();
  await app.register(fastifyBough);
  app.all<{ Params: { id: string; what: string } }>("/:id/:what", async (request) => {
    const { id, what } = request.params;
    await work(request.scope, id, fates, what === "hang");
    return { id, body: request.body };
  });
  await app.ready();
  return app.server;
}

describe.each([
  { host: "Express", make: overExpress },
  { host: "Fastify", make: overFastify },
])("$host under ten thousand mixed requests", ({ make }) => {
  it("rule 28: cancels those whose clients have gone, and no other", { timeout: 60_000 }, async () => {
    const fates: Fates = new Map();
    const server = await make(fates);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const scope = serverScope(server);
    const { port } = server.address() as AddressInfo;
    const agent = new http.Agent({ keepAlive: true, maxSockets: CLIENTS });
    onTestFinished(() => {
      agent.destroy();
      server.close();
    });
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on("warning", note);
    onTestFinished(() => void process.off("warning", note));

    const hangs = (id: number): boolean => id % 10 === 0;
    let id = 0;
    let answered = 0;
    const client = async (): Promise<void> => {
      while (id < TOTAL) {
        const own = id++;
        if (hangs(own)) await hangUp(port, agent, own, fates);
        else if ((await send(port, agent, own)).includes(`"id":"${own}"`)) answered += 1;
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));

    await expect.poll(() => serverStateOf(server).records.length).toBe(0);
    const wrong = [...fates].filter(
      ([key, { kind }]) => kind !== (hangs(Number(key)) ? "disconnected" : undefined),
    );
    expect(wrong).toEqual([]);
    expect(fates.size).toBe(TOTAL);
    expect(answered).toBe(TOTAL * 0.9);
    expect([...fates.values()].every((fate) => fate.scope.state === "closed")).toBe(true);
    expect(warnings).toEqual([]); // of too many listeners, say
    expect(await scope.shutdown()).toMatchObject({ running: 0, cancelled: 0, stuck: [] });
  });
});

function send(port: number, agent: http.Agent, id: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const method = id % 3 === 0 ? "GET" : "POST";
    const headers = method === "POST" ? { "content-type": "application/json" } : {};
    const options = { host: "127.0.0.1", port, agent, method, path: `/${id}/work`, headers };
    const request = http.request(options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve(text));
    });
    request.on("error", reject);
    request.end(method === "POST" ? JSON.stringify({ text: "x".repeat((id % 7) * 1_000) }) : undefined);
  });
}

/** Sends a request that would never be answered, and goes away once its handler works. */
async function hangUp(port: number, agent: http.Agent, id: number, fates: Fates): Promise<void> {
  const headers = { "content-type": "application/json" };
  const options = { host: "127.0.0.1", port, agent, method: "POST", path: `/${id}/hang`, headers };
  const request = http.request(options);
  request.on("error", () => undefined);
  request.end("{}");
  while (!fates.has(String(id))) await new Promise((resolve) => setImmediate(resolve));
  request.destroy();
}
