import http from "node:http";
import express from "express";
import Fastify from "fastify";
import { describe, expect, it } from "vitest";
import { expressBough } from "../express/index.js";
import { fastifyBough } from "../fastify/index.js";
import { spawn, type CancelledError } from "../index.js";
import { collectGarbage } from "../testing/index.js";
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
