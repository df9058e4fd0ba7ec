import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import dns from "node:dns";
import express from "express";
import Fastify from "fastify";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { expressBough } from "../express/index.js";
import { fastifyBough } from "../fastify/index.js";
import { createScope } from "../index.js";
import { certificate } from "../../test/support/certificate.js";
import { serverScope } from "./index.js";

// A shutdown while `listen()` is still under way: Node says that the server does not listen yet, and it would later.

const makers: Record<string, () => Server> = {
  "node:http": () => http.createServer(),
  "node:https": () => https.createServer(certificate),
  "node:http2": () => http2.createServer(),
  "node:http2 with TLS": () => http2.createSecureServer(certificate),
  Express: () => http.createServer(express().use(expressBough())),
};

/** Names are looked up when the test says so; called again, at once. */
function slowName(): () => void {
  const waiting: (() => void)[] = [];
  let isFound = false;
  vi.spyOn(dns, "lookup").mockImplementation((_name: string, ...rest: unknown[]) => {
    const done = rest.at(-1) as (error: null, address: unknown, family?: number) => void;
    const { all } = (typeof rest[0] === "object" ? rest[0] : {}) as { all?: boolean };
    const answer = (): void =>
      all === true ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4);
    if (isFound) setImmediate(answer);
    else waiting.push(answer);
  });
  onTestFinished(() => void vi.restoreAllMocks());
  return () => {
    isFound = true;
    for (const answer of waiting) setImmediate(answer);
  };
}

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
};

describe.each(Object.keys(makers))("a shutdown during listen(): %s", (kind) => {
  it.each(["before", "after"])(
    "rule 32: stops the server from listening; its scope was made %s listen()",
    async (moment) => {
      const found = slowName();
      const server = (makers[kind] as () => Server)();
      onTestFinished(() => void server.close());
      if (moment === "before") serverScope(server);
      const listening = once(server.listen(0, "some.name"), "listening");
      expect(server.listening).toBe(false);
      const report = serverScope(server).shutdown();
      found();
      await listening; // whoever waits for that goes on, and is shut down like everybody
      expect(server.address()).not.toBe(null);
      expect(await report).toMatchObject({ running: 0, stuck: [] });
      await settle();
      expect(server.listening).toBe(false);
    },
  );
});

describe("a shutdown during listen()", () => {
  it("rule 32: is not held up by a name that is never found, nor does the server listen when it is", async () => {
    const found = slowName();
    const server = http.createServer();
    const scope = serverScope(server);
    server.listen(0, "some.name");
    expect(await scope.shutdown()).toMatchObject({ running: 0, cancelled: 0, stuck: [], cutOff: 0 });
    found();
    await settle();
    expect(server.listening).toBe(false);
  });

  it("rule 32: by the cancellation of the parent stops the server from listening, too", async () => {
    const found = slowName();
    const server = http.createServer();
    const parent = createScope();
    serverScope(server, { parent });
    server.listen(0, "some.name");
    parent.cancel();
    found();
    await parent.close();
    await settle();
    expect(server.listening).toBe(false);
  });

  it("rule 32: when the name is not found leaves the error to the listeners of the server", async () => {
    const server = http.createServer();
    const failed = once(server, "error");
    server.listen(0, "name.invalid");
    vi.spyOn(dns, "lookup");
    const report = serverScope(server).shutdown();
    expect((await failed)[0]).toBeInstanceOf(Error);
    expect(await report).toMatchObject({ running: 0, stuck: [] });
    expect(server.listening).toBe(false);
  });

  it("rule 32: on a path", async () => {
    if (process.platform === "win32") return;
    const server = http.createServer();
    server.listen(join(tmpdir(), `bough-${process.pid}-${Date.now()}.sock`));
    await serverScope(server).shutdown();
    await settle();
    expect(server.listening).toBe(false);
  });

  it("rule 32: of Fastify's leaves no address listening, also where localhost has two", async () => {
    for (const host of ["localhost", "127.0.0.1"]) {
      const app = Fastify();
      await app.register(fastifyBough);
      await app.ready();
      void app.listen({ port: 0, host });
      await settle();
      await app.close();
      await settle();
      expect(app.server.listening).toBe(false);
    }
  });

  it("rule 32: of Fastify's by close() does not end the process when the second address of localhost is found", async () => {
    const app = Fastify();
    await app.register(fastifyBough);
    await app.ready();
    let found: (() => void) | undefined;
    vi.spyOn(dns, "lookup").mockImplementation((_name: string, ...rest: unknown[]) => {
      const { all } = (typeof rest[0] === "object" ? rest[0] : {}) as { all?: boolean };
      const done = rest.at(-1) as (error: null, addresses: unknown, family?: number) => void;
      if (all !== true) return void setImmediate(() => done(null, "127.0.0.1", 4));
      const addresses = ["127.0.0.1", "::1"].map((address) => ({ address }));
      found = () => done(null, addresses);
    });
    onTestFinished(() => void vi.restoreAllMocks());
    void app.listen({ port: 0, host: "localhost" });
    await vi.waitFor(() => expect(found).toBeDefined(), 10_000);
    await app.close();
    expect(() => found?.()).not.toThrow();
    expect(app.server.listening).toBe(false);
  });

  it("rule 32: of Fastify through its scope lets listen() finish", async () => {
    const found = slowName();
    const app = Fastify();
    await app.register(fastifyBough);
    await app.ready();
    const listening = app.listen({ port: 0, host: "localhost" });
    await vi.waitFor(() => expect(dns.lookup).toHaveBeenCalled(), 10_000);
    const report = app.scope.shutdown();
    found();
    expect(await listening).toContain("http://");
    expect(await report).toMatchObject({ running: 0, stuck: [] });
    expect(app.server.listening).toBe(false);
    await app.close();
  });

  it("the server can listen again afterwards, with a new scope", async () => {
    const server = http.createServer();
    server.listen(0, "localhost");
    await serverScope(server).shutdown();
    server.listen(0, "localhost");
    await once(server, "listening");
    expect(server.listening).toBe(true);
    expect(serverScope(server).state).toBe("open");
    await serverScope(server).shutdown();
    expect(server.listening).toBe(false);
  });

  it("of a server that never listened, or was closed before, throws nothing and waits for nothing", async () => {
    const never = http.createServer();
    expect(await serverScope(never).shutdown()).toMatchObject({ running: 0 });
    const closed = http.createServer();
    const scope = serverScope(closed);
    closed.listen(0, "127.0.0.1");
    await once(closed, "listening");
    closed.close();
    expect(await scope.shutdown()).toMatchObject({ running: 0 });
    expect(await scope.shutdown()).toBe(await scope.shutdown({ grace: 0 }));
  });
});
