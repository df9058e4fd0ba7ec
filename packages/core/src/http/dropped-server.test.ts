import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import Fastify from "fastify";
import { describe, expect, it } from "vitest";
import { RawConnection } from "../../test/support/http-clients.js";
import { expressBough } from "../express/index.js";
import { fastifyBough } from "../fastify/index.js";
import { spawn, type CancelledError } from "../index.js";
import { collectGarbage, expectCollected } from "../testing/index.js";
import { serverScope } from "./index.js";
import { untilCancelled } from "../../test/support/until-cancelled.js";

// Rule 19 for servers: one that nobody closes and nobody holds is collected, and its jobs are stopped.

const makers: Record<string, () => Promise<http.Server>> = {
  "node:http": () => Promise.resolve(http.createServer()),
  Express: () => Promise.resolve(http.createServer(express().use(expressBough()))),
  Fastify: async () => {
    const app = Fastify();
    await app.register(fastifyBough);
    await app.ready();
    return app.server;
  },
};

describe.each(Object.entries(makers))("a server of %s that was dropped", (_, make) => {
  it("rule 19: is collected, and its jobs are cancelled", async () => {
    const reasons: CancelledError[] = [];
    const server = await startJob(make, reasons);
    for (let attempt = 0; attempt < 10 && reasons.length === 0; attempt++) await collectGarbage();
    expect(server.deref()).toBeUndefined();
    expect(reasons).toMatchObject([{ kind: "orphaned" }]);
  });
});

describe("an application whose requests have been answered", () => {
  const middleware = expressBough(); // shared, so that it outlives every application

  /** Answers one request over a socket, within its scope or without, and closes the server. */
  async function expressApp(path: string): Promise<object> {
    const app = express().use(middleware);
    app.get("/used", (request, response) => response.send(request.scope.state));
    app.get("/unused", (_, response) => response.send("ok"));
    const parent = path.startsWith("/mounted") ? express().use("/mounted", app) : app;
    const server = http.createServer(parent).listen(0, "127.0.0.1");
    await once(server, "listening");
    const connection = new RawConnection((server.address() as AddressInfo).port);
    await connection.request({ path }).answer;
    connection.socket.destroy();
    server.close();
    await once(server, "close");
    return app;
  }

  it.each(["/used", "/unused", "/mounted/used", "/mounted/unused"])(
    "rule 19: is not held by an expressBough that several share, after a request to %s",
    async (path) => {
      let app: object | undefined = await expressApp(path);
      await expectCollected(() => {
        const dropped = app as object;
        app = undefined;
        return dropped;
      });
    },
  );

  it.each(["used", "unused"])(
    "rule 19: is not held by a request of inject() whose scope was %s",
    async (path) => {
      let app: object | undefined = await injected(path);
      await expectCollected(() => {
        const dropped = app as object;
        app = undefined;
        return dropped;
      });
    },
  );

  async function injected(path: string): Promise<object> {
    const app = Fastify();
    await app.register(fastifyBough);
    app.get("/used", (request) => request.scope.state);
    app.get("/unused", () => "ok");
    await app.inject(path);
    return app;
  }
});

/** A function of its own, so that no frame or context of the test's holds the server. */
async function startJob(
  make: () => Promise<http.Server>,
  reasons: CancelledError[],
): Promise<WeakRef<http.Server>> {
  const server = await make();
  spawn(serverScope(server), (scope) =>
    untilCancelled(scope).catch((reason: CancelledError) => void reasons.push(reason)),
  );
  return new WeakRef(server);
}
