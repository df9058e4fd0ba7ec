import { once, type EventEmitter } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import express from "express";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { createScope, sleep, spawn } from "../index.js";
import { flatten, snapshot, type Look } from "../inspect/index.js";
import { openEvents, openPage, request } from "../../test/support/inspector.js";
import { scriptFolder } from "../../test/support/run-script.js";
import { openScope } from "../../test/support/open-scope.js";
import { inspector, servePage, type InspectorOptions } from "./index.js";

afterEach(() => vi.unstubAllEnvs());

const everyPath = ["/", "/page.js", "/page.css", "/events", "/tree", "/node?id=1"];

describe("access to the page of the inspector", () => {
  it.each(everyPath)("a client over TCP needs the token for %s", async (path) => {
    const { page, port } = await openPage();
    expect(await request({ port, path })).toMatchObject({
      status: 401,
      body: expect.stringContaining("token"),
    });
    const wrong = { authorization: `Bearer ${page.token.slice(1)}x` };
    expect(await request({ port, path, headers: wrong })).toMatchObject({ status: 401 });
    const headers = { authorization: `Bearer ${page.token}` };
    expect(await request({ port, path, headers, method: "HEAD" })).toMatchObject({ status: 200 });
  });

  it("the token in the address becomes a cookie that scripts and other sites do not get", async () => {
    const { page, port } = await openPage();
    const first = await request({ port, path: `/?token=${page.token}` });
    expect(first).toMatchObject({ status: 303, headers: { location: "./" } });
    const [cookie = ""] = first.headers["set-cookie"] ?? [];
    expect(cookie).toMatch(/HttpOnly; SameSite=Strict/);
    // By default a cookie goes to the folder of the address that has set it, and so to nothing else of a server.
    expect(cookie).not.toMatch(/path|domain/i);
    const headers = { cookie: `other=1; ${cookie.split(";")[0]}` };
    expect(await request({ port, path: "/", headers })).toMatchObject({ status: 200 });
  });

  it.each([
    "evil.example",
    "127.0.0.1.evil.example",
    "evil.example:80",
    "localhost.evil.example",
    "2130706433",
  ])("a page of another domain that resolves to this machine is refused: Host %j", async (host) => {
    const { page, port } = await openPage();
    const headers = { host, authorization: `Bearer ${page.token}` };
    expect(await request({ port, path: "/tree", headers })).toMatchObject({
      status: 403,
      body: expect.stringMatching(/host/),
    });
  });

  it.each(["localhost", "127.0.0.1:8080", "[::1]:9000", "LOCALHOST:1"])(
    "a client through a tunnel is accepted under the name of this machine: Host %s",
    async (host) => {
      const { page, port } = await openPage();
      const headers = { host, authorization: `Bearer ${page.token}` };
      expect(await request({ port, path: "/", headers })).toMatchObject({ status: 200 });
    },
  );

  it("a host name is accepted if the option names it", async () => {
    const { page, port } = await openPage({ hosts: ["Admin.example.com"] });
    const headers = { host: "admin.example.com:8443", authorization: `Bearer ${page.token}` };
    expect(await request({ port, path: "/", headers })).toMatchObject({ status: 200 });
  });

  it.each([
    { origin: "https://evil.example" },
    { origin: "null" },
    { origin: "http://127.0.0.1:1" },
    { "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors" },
    { "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script" },
    { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" },
  ])("a script or a frame of another site is refused: %j", async (foreign) => {
    const { page, port } = await openPage();
    const headers = { ...foreign, authorization: `Bearer ${page.token}` };
    const answer = await request({ port, path: "/tree", headers });
    expect(answer.status).toBe(403);
    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
  });

  it("the page's own scripts, and a link on another site, are accepted", async () => {
    const { page, port } = await openPage();
    const own = { origin: `http://127.0.0.1:${port}`, "sec-fetch-site": "same-origin" };
    const link = {
      "sec-fetch-site": "cross-site",
      "sec-fetch-mode": "navigate",
      "sec-fetch-dest": "document",
    };
    for (const each of [own, link]) {
      const headers = { ...each, authorization: `Bearer ${page.token}` };
      expect(await request({ port, path: "/", headers })).toMatchObject({ status: 200 });
    }
  });
});

describe("the restrictions of the page", () => {
  it.each(["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])("nothing is changed by %s", async (method) => {
    const { page, port } = await openPage();
    const headers = { authorization: `Bearer ${page.token}` };
    const answer = await request({ port, path: "/tree", method, headers });
    expect(answer).toMatchObject({ status: 405, headers: { allow: "GET, HEAD" } });
  });

  it.each([
    "/../../package.json",
    "/..%2f..%2fpackage.json",
    "/page/..%5c..%5cpackage.json",
    "/index.html%00.js",
    "//",
  ])("no other file is served: %s", async (path) => {
    const { page, port } = await openPage();
    const { status, body } = await request({
      port,
      path,
      headers: { authorization: `Bearer ${page.token}` },
    });
    expect(status === 404 || body.startsWith("<!doctype html>")).toBe(true);
  });

  it("every answer has a strict policy: no inline script, no other server, no frame", async () => {
    const { page, port } = await openPage();
    const headers = { authorization: `Bearer ${page.token}` };
    for (const path of ["/", "/page.js", "/tree", "/nothing"]) {
      const answer = await request({ port, path, headers });
      const policy = answer.headers["content-security-policy"];
      expect(policy).toMatch(/^default-src 'none'; script-src 'self';/);
      expect(policy).not.toMatch(/unsafe|\*/);
      expect(answer.headers).toMatchObject({ "x-frame-options": "DENY", "cache-control": "no-store" });
    }
  });

  it("the title is text, not markup", async () => {
    const { page, port } = await openPage({ title: "<script>alert(1)</script>$&" });
    const { body } = await request({ port, path: "/", headers: { authorization: `Bearer ${page.token}` } });
    expect(body).toContain("&lt;script&gt;alert(1)&lt;/script&gt;$&amp;");
  });
});

describe("the content of the page", () => {
  const ask = async (options: InspectorOptions, path: string): Promise<unknown> => {
    const { page, port } = await openPage(options);
    const { body } = await request({ port, path, headers: { authorization: `Bearer ${page.token}` } });
    return JSON.parse(body);
  };

  it("many similar siblings are one row, and are opened 200 at a time", async () => {
    await using scope = createScope({ name: "server" });
    for (let n = 0; n < 1_000; n++) spawn(scope, (task) => sleep(task, 60_000), { name: `order ${n}` });
    spawn(scope, function heartbeat(task) {
      return sleep(task, 60_000);
    });
    const folded = (await ask({ scope }, "/tree")) as { rows: Record<string, unknown>[] };
    expect(folded.rows).toMatchObject([
      { type: "node", name: "server", depth: 0, open: true, children: 1_001 },
      { type: "group", name: "order #", depth: 1, open: false, children: 1_000, wait: "sleep" },
      { type: "node", name: "heartbeat", depth: 1, wait: expect.stringMatching(/^sleep, \d+ s left$/) },
    ]);
    const key = folded.rows[1]?.["key"] as string;
    const opened = (await ask({ scope }, `/tree?toggled=${key}`)) as { rows: unknown[] };
    expect(opened.rows).toHaveLength(3 + 200 + 1);
    expect(opened.rows[2]).toMatchObject({ name: "order 0", depth: 2 });
    expect(opened.rows[202]).toMatchObject({ type: "more", left: 800 });
    const second = (await ask({ scope }, `/tree?toggled=${key}&pages=${key}:2`)) as { rows: unknown[] };
    expect(second.rows[402]).toMatchObject({ type: "more", left: 600 });
  });

  it("the filter finds scopes by name, wait and state in the whole tree", async () => {
    await using scope = createScope({ name: "server" });
    for (let n = 0; n < 20; n++) spawn(scope, (task) => sleep(task, 60_000), { name: `order ${n}` });
    expect(await ask({ scope }, "/tree?find=ORDER%201")).toMatchObject({ total: 11 });
    expect(await ask({ scope }, "/tree?find=sleep")).toMatchObject({ total: 20 });
    expect(await ask({ scope }, "/tree?find=nowhere")).toMatchObject({ total: 0, rows: [] });
  });

  it("shows why a scope is alive, and what cancelled it", async () => {
    const scope = openScope("server", { timeout: 60_000 });
    let release = (): void => {};
    spawn(scope, () => new Promise<void>((resolve) => (release = resolve)), { name: "stuck" });
    scope.cancel(new Error("the password is hunter2"));
    const [, stuck] = flatten(snapshot(scope));
    const secret = (await ask({ scope }, `/node?id=${stuck?.id}`)) as Record<string, unknown>;
    expect(secret).toMatchObject({ name: "stuck", state: "cancelling (explicit)", holding: true });
    expect(secret["path"]).toMatchObject([{ name: "server" }]);
    expect(secret["why"]).toEqual([
      expect.stringMatching(/^It was cancelled/),
      expect.stringContaining("holds up"),
      expect.stringContaining("It would not notice"),
    ]);
    expect(JSON.stringify(secret)).not.toContain("hunter2");
    expect(JSON.stringify(await ask({ scope, causes: true }, `/node?id=${stuck?.id}`))).toContain("hunter2");
    release();
  });

  it("reports that a scope has ended", async () => {
    const { page, port } = await openPage();
    const headers = { authorization: `Bearer ${page.token}` };
    expect(await request({ port, path: "/node?id=999999999", headers })).toMatchObject({ status: 404 });
    expect(await request({ port, path: "/node?id=what", headers })).toMatchObject({ status: 404 });
  });

  it("names have no query string", async () => {
    const scope = createScope({ name: "GET /login?password=hunter2" });
    let release = (): void => {};
    spawn(scope, () => new Promise<void>((resolve) => (release = resolve)), { name: "stuck" });
    onTestFinished(() => release());
    scope.cancel();
    const { id } = flatten(snapshot(scope))[1] as { id: number };
    for (const path of ["/tree", "/tree?find=login", `/node?id=${id}`]) {
      const shown = JSON.stringify(await ask({ scope }, path));
      expect(shown).toContain("/login");
      expect(shown).not.toContain("hunter2");
    }
  });

  it("shows an error of the source, and continues with the next look", async () => {
    let looks = 0;
    const page = servePage({
      look: () =>
        ++looks === 1 ? Promise.reject(new Error("it is busy")) : Promise.resolve({ at: 1, nodes: [] }),
    });
    onTestFinished(() => page.close());
    const { port } = new URL(await page.listen({ port: 0 }));
    const headers = { authorization: `Bearer ${page.token}` };
    expect(await request({ port, path: "/tree", headers })).toMatchObject({
      status: 500,
      body: /it is busy/,
    });
    expect(await request({ port, path: "/tree", headers })).toMatchObject({ status: 200 });
  });
});

describe("pages that are open", () => {
  it("receive the counts repeatedly", async () => {
    await using scope = createScope({ name: "server" });
    const { page, port } = await openPage({ scope, interval: 100 });
    const events = await openEvents(port, page.token);
    expect(await events.next()).toMatchObject({ counts: { scopes: 1, tasks: 0 } });
    spawn(scope, (task) => sleep(task, 60_000), { name: "job" });
    let frame = await events.next();
    while ((frame["counts"] as { tasks: number }).tasks === 0) frame = await events.next();
    expect(frame).toMatchObject({ counts: { tasks: 1 }, loopDelay: { p50: expect.any(Number) } });
    expect(frame["groups"]).toMatchObject([{ count: 1 }, { count: 1 }]);
  });

  it.each([
    ["HTTP/1.1", http.createServer, (url: string) => http.get(url).on("error", () => {})],
    [
      "HTTP/2",
      http2.createServer,
      (url: string) => {
        const session = http2.connect(url);
        return session
          .request({ ":path": new URL(url).pathname + new URL(url).search })
          .on("error", () => session.close())
          .on("close", () => session.close());
      },
    ],
  ] as const)(
    "do not include a client that disconnects before the handler is called: %s",
    async (_, create, connect) => {
      let looks = 0;
      const page = servePage(
        { look: async () => ({ at: ++looks, nodes: [] }) },
        { clients: 1, interval: 100 },
      );
      const server = (create as typeof http.createServer)((request, response) => {
        if (request.url?.includes("first") === false) return page.handler(request, response);
        const { stream = response } = response as { stream?: EventEmitter };
        // A framework may check who the client is, for example.
        stream.once("close", () => setImmediate(() => page.handler(request, response)));
        stream.once("close", () => setImmediate(handled));
        client.destroy();
      });
      server.listen(0, "127.0.0.1");
      onTestFinished(() => void server.close());
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      let handled = (): void => {};
      const done = new Promise<void>((resolve) => (handled = resolve));
      const client = connect(`http://127.0.0.1:${port}/events?first&token=${page.token}`);
      await done;
      expect(looks).toBe(0);
    },
  );

  it("an open page that is closed while its look is taken leaves nothing behind", async () => {
    let finish = (): void => {};
    let closings = 0;
    const source = {
      look: () => new Promise<Look>((resolve) => (finish = () => resolve({ at: 1, nodes: [] }))),
      onLastPageClosed: () => void closings++,
    };
    const page = servePage(source);
    onTestFinished(() => page.close());
    const { port } = new URL(await page.listen({ port: 0 }));
    const events = await openEvents(Number(port), page.token);
    events.close();
    await vi.waitUntil(() => closings === 1, 10_000);
    finish();
    await vi.waitUntil(() => closings === 2, 10_000);
  });

  it("are at most four; a place becomes free when one is closed", async () => {
    const { page, port } = await openPage();
    const open = [];
    for (let n = 0; n < 4; n++) open.push(await openEvents(port, page.token));
    const fifth = await request({ port, path: `/events?token=${page.token}` });
    expect(fifth).toMatchObject({ status: 503, body: "4 pages are open. Close one of them." });
    open[0]?.close();
    await vi.waitFor(async () => {
      const events = await openEvents(port, page.token);
      expect(events.response.statusCode).toBe(200);
    }, 10_000);
  });

  it("a page that does not read gets the newest state later, and no backlog", async () => {
    let looks = 0;
    const huge = Array.from({ length: 100 }, (_, id) => ({
      ...node,
      id,
      name: `${"x".repeat(50_000)}${"y".repeat(id)}`,
    }));
    const page = servePage({ look: async () => ({ at: ++looks, nodes: huge }) }, { interval: 100 });
    onTestFinished(() => page.close());
    const { port } = new URL(await page.listen({ port: 0 }));
    const events = await openEvents(Number(port), page.token);
    expect(await events.next()).toMatchObject({ at: 1 });
    events.response.pause();
    await vi.waitUntil(() => looks >= 15, { timeout: 30_000 });
    events.response.resume();
    let last = 1;
    let skipped = false;
    while (!skipped) {
      const { at } = (await events.next()) as { at: number };
      skipped = at > last + 1;
      last = at;
    }
    expect(skipped).toBe(true);
  });

  it("do not keep a server from closing", async () => {
    const page = inspector({ interval: 100 });
    const server = http.createServer(page.handler);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const events = await openEvents(port, page.token);
    await events.next();
    server.close();
    await once(server, "close");
  });
});

const node = {
  id: 0,
  name: "",
  kind: "scope",
  state: "open",
  age: 1,
  cleanups: 0,
  waiters: 0,
  failures: 0,
  waitingForCleanup: false,
} as const;

describe("the address of the inspector", () => {
  it.skipIf(process.platform === "win32")(
    "is by default a socket that only this user can open, without a token",
    async () => {
      const page = inspector();
      onTestFinished(() => page.close());
      const path = await page.listen();
      expect(path).toBe(join(tmpdir(), `bough-${process.pid}.sock`));
      expect(statSync(path).mode & 0o777).toBe(0o600);
      const headers = { host: "localhost" };
      expect(await request({ socketPath: path, path: "/", headers })).toMatchObject({ status: 200 });
      const forged = { host: "evil.example" };
      expect(await request({ socketPath: path, path: "/", headers: forged })).toMatchObject({ status: 403 });
      await page.close();
      expect(existsSync(path)).toBe(false);
    },
  );

  it.skipIf(process.platform === "win32")("may be the socket that a killed process has left", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bough-socket-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "s.sock");
    const { run, remove } = await scriptFolder();
    onTestFinished(remove);
    await run(
      `const { createServer } = await import("node:net");
       createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"));`,
    );
    expect(existsSync(path)).toBe(true);
    const page = inspector();
    onTestFinished(() => page.close());
    expect(await page.listen({ path })).toBe(path);
    const second = inspector();
    await expect(second.listen({ path })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  it.skipIf(process.platform === "win32")("is a socket and not a port if its path is a number", async () => {
    const page = inspector();
    const path = String(process.pid);
    onTestFinished(() => rmSync(path, { force: true }));
    onTestFinished(() => page.close());
    expect(await page.listen({ path })).toBe(`./${path}`);
    expect(statSync(path).isSocket()).toBe(true);
  });

  it.skipIf(process.platform === "win32")(
    "may be the Unix socket of another server, and then needs the token, since others may reach it through a proxy",
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "bough-socket-"));
      onTestFinished(() => rmSync(folder, { recursive: true }));
      const socketPath = join(folder, "app.sock");
      const page = inspector();
      const server = http.createServer(page.handler).listen(socketPath);
      onTestFinished(() => void server.close());
      await once(server, "listening");
      const headers = { host: "localhost" };
      expect(await request({ socketPath, path: "/tree", headers })).toMatchObject({ status: 401 });
      const known = { ...headers, authorization: `Bearer ${page.token}` };
      expect(await request({ socketPath, path: "/tree", headers: known })).toMatchObject({ status: 200 });
    },
  );

  it.each([{ port: 0 }, {}])(
    "is not in use after the inspector is closed while it begins to listen: %j",
    async (where) => {
      const page = inspector();
      const listening = page.listen(where);
      await page.close();
      const address = await listening;
      const place = "port" in where ? { port: new URL(address).port } : { socketPath: address };
      await expect(request(place)).rejects.toMatchObject({ code: /ECONNREFUSED|ENOENT/ });
    },
  );

  it("has its own port in each worker of a cluster", async () => {
    const { run, remove } = await scriptFolder("inspector");
    onTestFinished(remove);
    const { code, stdout } = await run(`
      const { default: cluster } = await import("node:cluster");
      if (cluster.isPrimary) {
        const ports = [];
        const add = (port) => {
          if (ports.push(port) < 2) return;
          log(new Set(ports).size);
          for (const worker of Object.values(cluster.workers)) worker.process.kill();
        };
        for (let n = 0; n < 2; n++) cluster.fork().on("message", add);
      } else process.send(new URL(await inspector().listen({ port: 0 })).port);
    `);
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: "2\n" });
  });

  it("is on the loopback interface only", async () => {
    const { address } = await openPage();
    expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{32}$/);
  });

  it("may be a path of an Express app, with or without a slash at its end", async () => {
    const page = inspector();
    const app = express().use("/debug/bough", page.handler);
    const server = app.listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const headers = { authorization: `Bearer ${page.token}` };
    expect(await request({ port, path: "/debug/bough", headers })).toMatchObject({
      status: 303,
      headers: { location: "./bough/" },
    });
    expect(await request({ port, path: "/debug/bough/", headers })).toMatchObject({ status: 200 });
    expect(await request({ port, path: "/debug/bough/page.js", headers })).toMatchObject({ status: 200 });
    expect(await request({ port, path: "/debug/bough/", headers: {} })).toMatchObject({ status: 401 });
  });

  it.each(["https:evil.example", "\\\\evil.example"])(
    "does not redirect to another server if its path has a parameter: %s",
    async (tenant) => {
      const page = inspector();
      const app = express().use("/:tenant", page.handler);
      const server = app.listen(0, "127.0.0.1");
      onTestFinished(() => void server.close());
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      const headers = { authorization: `Bearer ${page.token}` };
      const { status, headers: answer } = await request({ port, path: `/${tenant}`, headers });
      expect(status).toBe(303);
      expect(new URL(answer.location as string, "http://127.0.0.1/").host).toBe("127.0.0.1");
    },
  );
});

describe("the cost of the page", () => {
  it("keeps no process alive while it is served and open", async () => {
    const { run, remove } = await scriptFolder("inspector");
    onTestFinished(remove);
    const { code, stdout } = await run(`
      const { connect } = await import("node:net");
      const page = inspector({ interval: 100 });
      const address = new URL(await page.listen({ port: 0 }));
      const client = connect(Number(address.port), "127.0.0.1");
      client.write("GET /events HTTP/1.1\\r\\nHost: localhost\\r\\nAuthorization: Bearer " + page.token + "\\r\\n\\r\\n");
      await new Promise((resolve) => client.on("data", (data) => String(data).includes("counts") && resolve()));
      client.unref();
      log("end");
    `);
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: "end\n" });
  });

  it("does not look at the tree while no page is open", async () => {
    let looks = 0;
    const page = servePage({ look: async () => ({ at: ++looks, nodes: [] }) }, { interval: 100 });
    onTestFinished(() => page.close());
    const { port } = new URL(await page.listen({ port: 0 }));
    const events = await openEvents(Number(port), page.token);
    await events.next();
    await events.next();
    events.close();
    let before = -1;
    await vi.waitUntil(() => before === (before = looks), { interval: 500, timeout: 30_000 });
  });
});

describe("inspector()", () => {
  it("refuses to run in production without the option", () => {
    vi.stubEnv("NODE_ENV", "production");
    expect(() => inspector()).toThrow(expect.objectContaining({ code: "BOUGH_INSPECTOR_PRODUCTION" }));
    expect(inspector({ production: true }).token).toHaveLength(32);
  });

  it.each([
    [{ port: 1 }, /options must not have "port"/],
    [{ token: "short" }, /token must have at least 16/],
    [{ token: 1 }, /token must be a string, got 1/],
    [{ token: "with spaces in between" }, /token must have at least 16/],
    [{ hosts: "localhost" }, /hosts must be an array/],
    [{ hosts: ["http://localhost"] }, /hosts must contain only names/],
    [{ hosts: [1] }, /hosts must contain only strings, got 1/],
    [{ interval: 0 }, /interval must be a number of ms from 100 to/],
    [{ interval: Number.NaN }, /interval must be a number/],
    [{ clients: 0 }, /clients must be a whole number from 1/],
    [{ causes: "yes" }, /causes must be a boolean/],
    [{ production: 1 }, /production must be a boolean/],
    [{ title: 1 }, /title must be a string/],
    [{ scope: {} }, /scope/],
  ])("refuses wrong options by their name: %j", (options, message) => {
    expect(() => inspector(options as InspectorOptions)).toThrow(message);
  });

  it.each([
    [{ port: 70_000 }, /port must be a whole number from 0 to 65535, got 70000/],
    [{ port: "80" }, /port must be a number/],
    [{ path: 1 }, /path must be a string/],
    [{ path: "/tmp/x", port: 0 }, /path or port, not both/],
    [{ host: "0.0.0.0" }, /options must not have "host"/],
  ])("refuses wrong places to listen at: %j", async (options, message) => {
    await expect(inspector().listen(options as { port: number })).rejects.toThrow(message);
  });

  it("servePage refuses a source that can't be looked at", () => {
    expect(() => servePage({} as never)).toThrow(/source must be an object with a method look\(\)/);
    expect(() => servePage(undefined as never)).toThrow(TypeError);
  });
});
