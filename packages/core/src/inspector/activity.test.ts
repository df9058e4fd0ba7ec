import { channel } from "node:diagnostics_channel";
import http from "node:http";
import { describe, expect, it, onTestFinished } from "vitest";
import { createScope, sleep, spawn, withScope, type Scope } from "../index.js";
import { requestScope } from "../http/index.js";
import { fetchBough } from "../web/index.js";
import type { ScopeNode } from "../kernel/node.js";
import { deferred } from "../../test/support/deferred.js";
import { openEvents, openPage, request } from "../../test/support/inspector.js";
import { openScope } from "../../test/support/open-scope.js";
import { servePage } from "./index.js";
import { Activity } from "./activity.js";
import { PlaceHistory } from "./place-history.js";
import { Sampler } from "./sampler.js";
import { Requests } from "./request-traces.js";

const channels = ["task:start", "task:settle", "scope:open", "scope:close"].map((name) =>
  channel(`bough:${name}`),
);
const subscribed = (): number => channels.filter(({ hasSubscribers }) => hasSubscribers).length;

function started(isBelow: (node: ScopeNode) => boolean = () => true): Activity {
  const activity = new Activity(isBelow);
  activity.start();
  onTestFinished(() => activity.stop());
  return activity;
}

const historyOf = (activity: Activity, name: string): PlaceHistory | undefined =>
  activity.histories().find((each) => each.name === name);

/** A server whose handler is given; what it serves is asked for by path. */
async function serve(
  handler: (scope: Scope, request: http.IncomingMessage) => Promise<number>,
): Promise<number> {
  const server = http.createServer((incoming, response) => {
    void handler(requestScope(incoming, response), incoming).then((status) =>
      response.writeHead(status).end(),
    );
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return (server.address() as { port: number }).port;
}

/** The requests have ended for their clients a moment before their scopes settle. */
async function settled(activity: Activity, count: number): Promise<void> {
  while (activity.requests.last().length < count) await new Promise((resolve) => setImmediate(resolve));
}

describe("the history of the scopes at one place", () => {
  it("is counted for tasks and scopes whose names differ in a number only", async () => {
    const activity = started();
    await withScope({ name: "batch 17" }, async (scope) => {
      for (let n = 0; n < 10; n++) spawn(scope, async () => {}, { name: `order ${n}` });
    });
    expect(historyOf(activity, "order #")).toMatchObject({ created: 10, settled: 10, kind: "task" });
    expect(historyOf(activity, "batch #")).toMatchObject({ created: 1, settled: 1, kind: "scope" });
  });

  it("counts scopes that have begun and not ended", async () => {
    const activity = started();
    const gate = deferred();
    const scope = openScope("shop");
    const task = spawn(scope, () => gate.promise, { name: "slow" });
    spawn(scope, async () => {}, { name: "fast" });
    await Promise.resolve();
    expect(historyOf(activity, "slow")).toMatchObject({ created: 1, settled: 0 });
    gate.resolve();
    await task;
    expect(historyOf(activity, "slow")).toMatchObject({ created: 1, settled: 1 });
  });

  it("covers one scope only, if the page shows one scope only", async () => {
    const shown = createScope({ name: "shown" });
    onTestFinished(() => void shown.cancel());
    const activity = started((node) => {
      for (let at: ScopeNode | undefined = node; at !== undefined; at = at.parent)
        if (at.name === "shown") return true;
      return false;
    });
    await spawn(shown, async () => {}, { name: "inside" });
    await withScope({ name: "outside" }, async () => {});
    expect(historyOf(activity, "inside")).toMatchObject({ settled: 1 });
    expect(historyOf(activity, "outside")).toBeUndefined();
  });

  it("with many different names, the first ones have their own history and the others share one", async () => {
    const activity = started();
    const letters = (n: number): string =>
      String(n).replace(/\d/g, (digit) => "abcdefghij".charAt(Number(digit)));
    await withScope(async (scope) => {
      for (let n = 0; n < 3_000; n++) spawn(scope, async () => {}, { name: letters(n) });
    });
    const histories = activity.histories();
    expect(histories.length).toBeLessThanOrEqual(301);
    // Of so many at once, a share is followed.
    const total = histories.reduce((sum, { settled: count }) => sum + count, 0);
    expect(total).toBeGreaterThan(2_000);
    expect(total).toBeLessThan(4_500);
  });

  it("is estimated from a share under load, whatever pattern the ids follow", () => {
    const sampler = new Sampler(200);
    const totals = [0, 0, 0, 0];
    let followed = 0;
    for (let id = 0; id < 400_000; id++) {
      const weight = sampler.take(id, id / 40); // 40,000 a second, for 10 seconds
      totals[id % 4]! += weight;
      if (weight > 0) followed++;
    }
    expect(followed).toBeLessThan(11 * 200 * 2);
    for (const total of totals) expect(Math.abs(total / 100_000 - 1)).toBeLessThan(0.25);
    for (let second = 20; second < 40; second++) sampler.take(second, second * 1_000);
    expect(sampler.stride).toBe(1);
  });

  it("has rates over the last ten seconds, and lifetimes of the last minute", () => {
    const history = new PlaceHistory("", "job", "task", "");
    for (let ms = 0; ms < 20_000; ms += 100) {
      history.create(ms);
      if (ms % 200 === 0) history.settle(ms, 8);
    }
    expect(history.rates(20_000)).toEqual({ created: 10, settled: 5 });
    history.settle(21_000, 1_000);
    expect(history.lifetimes(21_000, [0.5, 1])).toEqual([expect.closeTo(8, 0), expect.closeTo(1_000, -2)]);
    expect(history.rates(45_000)).toEqual({ created: 0, settled: 0 });
    expect(history.lifetimes(70_000, [0.5])).toEqual([expect.closeTo(1_000, -2)]);
    expect(history.hasSettled(70_000)).toBe(true);
    expect(history.hasSettled(200_000)).toBe(false);
    expect(history.lifetimes(200_000, [0.5])).toBeUndefined();
  });

  it("a place that has just begun is not rated low for the seconds before it", () => {
    const history = new PlaceHistory("", "job", "task", "");
    for (let ms = 5_000; ms < 7_000; ms += 100) history.create(ms);
    expect(history.rates(7_000).created).toBe(10);
  });
});

describe("requests that have ended", () => {
  it("have their route, status and the tasks below them, nested", async () => {
    const activity = started();
    const port = await serve(async (scope) => {
      const load = spawn(scope, (task) => spawn(task, async () => {}, { name: "query" }), { name: "load" });
      const other = spawn(scope, async () => {}, { name: "other" });
      await Promise.all([load, other]);
      await spawn(scope, async () => {}, { name: "render" });
      return 404;
    });
    await request({ port, path: "/orders/7?secret=1" });
    await settled(activity, 1);
    const [trace] = activity.requests.last();
    expect(trace).toMatchObject({ ending: { name: "GET /orders/7", status: 404, outcome: "succeeded" } });
    expect(trace?.bars).toMatchObject([
      { name: "load", depth: 0, outcome: "succeeded" },
      { name: "query", depth: 1, outcome: "succeeded" },
      { name: "other", depth: 0, outcome: "succeeded" },
      { name: "render", depth: 0, outcome: "succeeded" },
    ]);
    for (const { from, to } of trace?.bars ?? []) expect(to).toBeGreaterThanOrEqual(from);
    expect(historyOf(activity, "GET /orders/#")).toMatchObject({ created: 1, settled: 1, kind: "request" });
  });

  it("say why they were cancelled", async () => {
    const activity = started();
    const port = await serve(async (scope) => {
      await new Promise<void>((resolve) => scope.onCancel(() => resolve()));
      return 500;
    });
    const client = http.get({ host: "127.0.0.1", port }).on("error", () => {});
    client.on("socket", (socket) => socket.on("connect", () => setImmediate(() => client.destroy())));
    await settled(activity, 1);
    expect(activity.requests.last()[0]?.ending).toMatchObject({ name: "GET /", outcome: "disconnected" });
  });

  it.each<[string, number, (scope: Scope) => unknown]>([
    ["that answer in a scope that nothing hangs on", 201, () => new Response("made", { status: 201 })],
    [
      "that answer when their tasks have ended",
      202,
      async (scope) => {
        await spawn(scope, async () => {});
        return Response.json({}, { status: 202 });
      },
    ],
    ["whose signal was read", 200, (scope) => Response.json({ aborted: scope.signal.aborted })],
    ["without a body", 204, () => new Response(null, { status: 204 })],
    [
      "that stream in a scope that nothing hangs on",
      203,
      () => new Response(new ReadableStream({ start: (body) => body.close() }), { status: 203 }),
    ],
    ["that redirect", 307, () => Response.redirect("http://localhost/b", 307)],
    [
      "whose time is up",
      503,
      async (scope) => {
        await sleep(scope, 60_000);
        return new Response("late");
      },
    ],
  ])("of a fetch-style host have their status: those %s", async (_which, status, handler) => {
    const activity = started();
    const handle = fetchBough((_request: Request, scope) => handler(scope) as Response, { timeout: 50 });
    const response = await handle(new Request("http://localhost/orders?secret=1"));
    await response.text();
    await settled(activity, 1);
    expect(activity.requests.last()[0]?.ending).toMatchObject({ name: "GET /orders", status });
  });

  it("of a fetch-style host without a response have no status", async () => {
    const activity = started();
    const handle = fetchBough((_request: Request) => undefined); // as Bun has for an upgraded one
    await handle(new Request("http://localhost/orders"));
    await settled(activity, 1);
    expect(activity.requests.last()[0]?.ending?.status).toBeUndefined();
  });

  it("of an application in fetchBough have their status", async () => {
    const activity = started();
    const handle = fetchBough({ fetch: async (_request: Request) => new Response("made", { status: 201 }) });
    await handle(new Request("http://localhost/orders"));
    await settled(activity, 1);
    expect(activity.requests.last()[0]?.ending).toMatchObject({ name: "GET /orders", status: 201 });
  });

  it("of a fetch-style host have their route, too", async () => {
    const activity = started();
    const handler = fetchBough((_request, scope) =>
      spawn(scope, async () => new Response("made", { status: 201 }), { name: "make" }),
    );
    const response = await handler(new Request("http://localhost/orders?secret=1"));
    await response.text();
    await settled(activity, 1);
    expect(activity.requests.last()[0]?.ending).toMatchObject({ name: "GET /orders", outcome: "succeeded" });
  });

  it("are kept up to the last 200 and the slowest 50", () => {
    const requests = new Requests();
    for (let n = 0; n < 5_000; n++) {
      const trace = requests.begin(n, 0);
      if (trace !== undefined)
        requests.end(trace, (n * 7_919) % 5_000, { name: `GET /${n}`, outcome: "succeeded" });
    }
    expect(requests.last().map(({ id }) => id)).toEqual(
      Array.from({ length: 200 }, (_, index) => 4_999 - index),
    );
    expect(requests.slowest().map(({ took }) => took)).toEqual(
      Array.from({ length: 50 }, (_, index) => 4_999 - index),
    );
  });

  it("of one with a thousand tasks the first ones are kept, and the others counted", async () => {
    const activity = started();
    const port = await serve(async (scope) => {
      await Promise.all(
        Array.from({ length: 1_000 }, (_, n) => spawn(scope, async () => {}, { name: `part ${n}` })),
      );
      return 200;
    });
    await request({ port, path: "/" });
    await settled(activity, 1);
    const [trace] = activity.requests.last();
    expect(trace?.bars.length).toBe(40);
    expect(trace?.dropped).toBe(960);
  });

  it("are not all followed if there are too many at a time", () => {
    const requests = new Requests();
    const open = Array.from({ length: 3_000 }, (_, id) => requests.begin(id, 0));
    expect(open.filter((each) => each !== undefined).length).toBe(2_000);
    for (const trace of open) if (trace !== undefined) requests.end(trace, 1, { name: "", outcome: "" });
    expect(requests.begin(9_999, 2)).toBeDefined();
  });

  it("reach the page without query strings, with all tasks of the one that is opened", async () => {
    const { page, port } = await openPage();
    const events = await openEvents(port, page.token);
    await events.next();
    const served = await serve(async (scope) => {
      for (let n = 0; n < 9; n++) spawn(scope, async () => {}, { name: `GET /part/${n}?secret=1` });
      return 200;
    });
    await request({ port: served, path: "/orders?secret=1" });
    const headers = { authorization: `Bearer ${page.token}` };
    const ask = async (path: string): Promise<string> => (await request({ port, path, headers })).body;
    let body = await ask("/requests");
    while (!body.includes("/orders")) body = await ask("/requests");
    expect(body).not.toContain("secret");
    const { last, slowest } = JSON.parse(body) as {
      last: { id: number; bars: unknown[]; moreBars: number }[];
      slowest: unknown[];
    };
    expect(slowest.length).toBe(1);
    expect(last[0]).toMatchObject({ name: "GET /orders", status: 200, outcome: "succeeded", moreBars: 3 });
    const opened = JSON.parse(await ask(`/requests?open=${last[0]?.id}`)) as typeof last extends infer L
      ? { last: L }
      : never;
    expect(opened.last[0]?.bars.length).toBe(9);
  });
});

describe("it costs nothing without a page", () => {
  it("drops its history when the last page closes", async () => {
    const activity = started();
    const letters = (n: number): string =>
      String(n).replace(/\d/g, (digit) => "abcdefghij".charAt(Number(digit)));
    await withScope(async (scope) => {
      for (let n = 0; n < 900; n++) spawn(scope, async () => {}, { name: letters(n) });
    });
    activity.stop();
    activity.start();
    expect(activity.histories().map(({ name, settled: count }) => [name, count])).toEqual([
      ["(other places)", 0],
    ]);
    expect(activity.requests.open).toBe(0);
    expect(activity.requests.last()).toEqual([]);
  });

  it("a page with its own source shows only what the source returns", async () => {
    const page = servePage({ look: async () => ({ at: 1, nodes: [] }) });
    onTestFinished(() => page.close());
    const { port } = new URL(await page.listen({ port: 0 }));
    const headers = { authorization: `Bearer ${page.token}` };
    expect(JSON.parse((await request({ port, path: "/requests", headers })).body)).toEqual({ running: [] });
    const frame = await (await openEvents(Number(port), page.token)).next();
    expect(frame["rates"]).toBeUndefined();
    expect(subscribed()).toBe(0);
  });

  it("the channels have subscribers from the first page to the last", async () => {
    expect(subscribed()).toBe(0);
    const { page, port } = await openPage();
    expect(subscribed()).toBe(0);
    const [one, other] = [await openEvents(port, page.token), await openEvents(port, page.token)];
    await one.next();
    expect(subscribed()).toBe(4);
    one.close();
    await other.next();
    expect(subscribed()).toBe(4);
    other.close();
    while (subscribed() > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  it("a request for data subscribes to nothing while no page is open", async () => {
    const { page, port } = await openPage();
    await request({ port, path: "/requests", headers: { authorization: `Bearer ${page.token}` } });
    expect(subscribed()).toBe(0);
  });
});
