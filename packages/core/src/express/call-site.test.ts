import { once } from "node:events";
import type { AddressInfo } from "node:net";
import express from "express";
import Fastify from "fastify";
import { afterEach, describe, expect, it } from "vitest";
import { fastifyBough } from "../fastify/index.js";
import { serverScope } from "../http/index.js";
import { setTracing, snapshot } from "../inspect/index.js";
import { expressBough } from "./index.js";

const before = setTracing(true);
afterEach(() => void setTracing(before));

const here = /call-site\.test\.ts:\d+:\d+\)?$/;

describe("rule 26: while tracing is on, the call site", () => {
  it("of Express's request scope is where the handler has asked for it, of its server's scope where the middleware was made", async () => {
    setTracing(true);
    const app = express().use(expressBough({ timeout: 60_000 }));
    let sites: (string | undefined)[] = [];
    app.get("/", (req, res) => {
      sites = [snapshot(req.scope).spawnedAt, snapshot(serverScope(server)).spawnedAt];
      res.end();
    });
    const server = app.listen(0, "127.0.0.1");
    await once(server, "listening");
    await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await serverScope(server).shutdown();
    expect(sites).toEqual([expect.stringMatching(here), expect.stringMatching(here)]);
    expect(sites[0]).not.toBe(sites[1]);
  });

  it("of Fastify's request scope is where the handler has asked for it", async () => {
    setTracing(true);
    const app = Fastify();
    await app.register(fastifyBough, { timeout: 60_000 });
    app.get("/", async (request) => ({ site: snapshot(request.scope).spawnedAt }));
    const { site } = (await app.inject("/")).json<{ site: string }>();
    await app.close();
    expect(site).toMatch(here);
  });
});
