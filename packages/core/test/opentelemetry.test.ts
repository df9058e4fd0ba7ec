import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http, { type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { context, SpanKind, SpanStatusCode, trace, type Tracer } from "@opentelemetry/api";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from "@opentelemetry/sdk-trace-base";
import express from "express";
import Fastify from "fastify";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { expressBough } from "../src/express/index.js";
import { fastifyBough } from "../src/fastify/index.js";
import { requestScope } from "../src/http/index.js";
import {
  all,
  createScope,
  createSingleFlight,
  detach,
  map,
  moveOnAfter,
  race,
  retry,
  shield,
  spawn,
  start,
  stream,
  supervise,
  withScope,
  type Scope,
} from "../src/index.js";
import { createRecorder, decodeRecording, encodeRecording, type Recording } from "../src/recorder/index.js";
import { blocksOfMarkdown } from "./support/doc-code.js";
import { deferred, flush, rejection } from "./support/deferred.js";
import { untilCancelled } from "./support/until-cancelled.js";
import "../src/effection/index.js";

// The code of docs/diagnostics.md, unchanged, with the real OpenTelemetry.

const core = fileURLToPath(new URL("..", import.meta.url));
const exporter = new InMemorySpanExporter();
const tracer = trace.getTracer("user");
let folder: string;

type ExportSpans = (recording: Recording, tracer: Tracer) => void;
let exportSpans: ExportSpans;

beforeAll(async () => {
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  );
  const path = join(core, "../../docs/diagnostics.md");
  const blocks = blocksOfMarkdown("diagnostics.md", readFileSync(path, "utf8"));
  const recipeWith = (word: string): string => {
    const recipes = blocks.filter(({ module }) => module.includes(word));
    if (recipes.length !== 1) throw new Error(`${recipes.length} recipes with ${word}`);
    return recipes[0]!.module;
  };
  mkdirSync(join(core, ".doc-code"), { recursive: true });
  folder = mkdtempSync(join(core, ".doc-code/"));
  const file = join(folder, "tracing.ts");
  writeFileSync(file, recipeWith("AsyncLocalStorageContextManager"));
  await import(file);
  const ofRecordings = join(folder, "recording.ts");
  writeFileSync(ofRecordings, recipeWith("exportSpans"));
  ({ exportSpans } = (await import(ofRecordings)) as { exportSpans: ExportSpans });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => exporter.reset());

/** The spans that have ended, as lines of paths of names: `request > order > stock`. */
function tree(spans: readonly ReadableSpan[] = exporter.getFinishedSpans()): string[] {
  const byId = new Map(spans.map((span) => [span.spanContext().spanId, span]));
  const pathOf = (span: ReadableSpan): string => {
    const parent = span.parentSpanContext && byId.get(span.parentSpanContext.spanId);
    if (span.parentSpanContext !== undefined && parent === undefined) return `? > ${span.name}`;
    return parent === undefined ? span.name : `${pathOf(parent)} > ${span.name}`;
  };
  return spans.map((span) => pathOf(span)).toSorted();
}

function ended(name: string): ReadableSpan {
  const found = exporter.getFinishedSpans().filter((span) => span.name === name);
  expect(found).toHaveLength(1);
  return found[0]!;
}

/** A span of the user's own, across an await. */
async function query(name: string): Promise<void> {
  await tracer.startActiveSpan(name, async (span) => {
    await flush();
    span.end();
  });
}

describe("rule 27: with the recipe for OpenTelemetry", () => {
  it("spans nest as the tasks do in the example of a request", async () => {
    await withScope({ name: "request" }, async (scope) => {
      await spawn(scope, async function order(own) {
        await all(own, [async function stock() {}]);
        await retry(own, (attempt) => spawn(attempt, async function price() {}));
        await withScope(own, async function inner(part) {
          await spawn(part, async function audit() {});
        });
        await spawn(own, async function direct() {});
      });
    });
    expect(tree()).toEqual([
      "request",
      "request > order",
      "request > order > all",
      "request > order > all > stock",
      "request > order > direct",
      "request > order > inner",
      "request > order > inner > audit",
      "request > order > retry",
      "request > order > retry > anonymous",
      "request > order > retry > anonymous > price",
    ]);
  });

  const step = async function step(scope: Scope): Promise<number> {
    await flush();
    await query("query");
    await spawn(scope, async function child() {
      await query("inner query");
    });
    return 1;
  };
  const below = (...path: readonly string[]): string[] =>
    ["", " > query", " > child", " > child > inner query"].map((end) => path.join(" > ") + end);

  it.each<[string, (scope: Scope) => unknown, string[]]>([
    ["spawn", (scope) => spawn(scope, step), below("root", "step")],
    ["all", (scope) => all(scope, [step]), below("root", "all", "step")],
    ["race", (scope) => race(scope, [step]), below("root", "race", "step")],
    ["map", (scope) => map(scope, [1], (_, own) => step(own)), below("root", "map", "anonymous")],
    ["withScope", (scope) => withScope(scope, step), below("root", "step")],
    ["shield", (scope) => shield(scope, { timeout: 60_000 }, step), below("root", "step")],
    ["moveOnAfter", (scope) => moveOnAfter(scope, { timeout: 60_000 }, step), below("root", "step")],
    [
      "do of a single flight",
      (scope) => createSingleFlight(scope).do(scope, 1, step),
      below("root", "singleFlight", "step"),
    ],
    ["retry", (scope) => retry(scope, step), below("root", "retry", "step")],
    ["supervise", (scope) => supervise(scope, step), below("root", "step", "#1")],
    [
      "start",
      (scope) => start(scope, async (own, started) => (started(), step(own))),
      below("root", "anonymous", "start"),
    ],
    [
      "stream",
      async (scope) => {
        for await (const one of stream(scope, [1], (_, own) => step(own))) expect(one).toBe(1);
      },
      below("root", "stream", "items", "anonymous"),
    ],
    [
      "detach",
      (scope) =>
        withScope(scope, async function request(own) {
          void detach(own, scope, step);
        }),
      below("root", "step"),
    ],
    [
      "an owner handle, which has no span",
      async (scope) => {
        const handle = createScope(scope);
        spawn(handle, step);
        await handle.join();
      },
      below("root", "step"),
    ],
    [
      "a queue",
      (scope) =>
        withScope(scope, { name: "queue", concurrency: 1 }, async (own) => {
          spawn(own, flush, { name: "first" });
          spawn(own, step);
        }),
      below("root", "queue", "step"),
    ],
  ])(
    "the span of a task is active in its worker, in %s, and so is the parent of what is below",
    async (_, run, expected) => {
      await withScope({ name: "root" }, async (scope) => void (await run(scope)));
      const lines = tree();
      expect(lines).toEqual(expect.arrayContaining(expected));
      expect(lines.filter((line) => line.endsWith(" > query") || line === "query")).toHaveLength(1);
      expect(lines.filter((line) => line.includes("?"))).toEqual([]);
      expect(new Set(exporter.getFinishedSpans().map((span) => span.spanContext().traceId)).size).toBe(1);
    },
  );

  it("the span is active in a worker that is a generator function, too", async () => {
    const { sleep: pause } = await import("effection");
    await withScope({ name: "root" }, (scope) =>
      spawn(scope, function* operation() {
        tracer.startSpan("before").end();
        yield* pause(1);
        tracer.startSpan("after").end();
      }),
    );
    expect(tree()).toEqual([
      "root",
      "root > operation",
      "root > operation > after",
      "root > operation > before",
    ]);
  });

  it("the active span of the caller does not change", async () => {
    await tracer.startActiveSpan("caller", async (span) => {
      const before = context.active();
      const done = withScope(async function body(scope) {
        const inside = context.active();
        const task = spawn(scope, async function worker() {});
        expect(context.active()).toBe(inside);
        await task;
        expect(context.active()).toBe(inside);
      });
      expect(context.active()).toBe(before);
      await done;
      expect(context.active()).toBe(before);
      expect(trace.getActiveSpan()).toBe(span);
      span.end();
    });
    expect(tree()).toEqual(["caller", "caller > body", "caller > body > worker"]);
  });

  it("a cleanup and a listener run below the span of the task that registered them", async () => {
    await withScope({ name: "root" }, async (scope) => {
      await spawn(scope, function task(own) {
        own.defer(() => query("cleanup"));
      });
    });
    expect(tree()).toContain("root > task > cleanup");
  });

  it("a span ends before its parent", async () => {
    const gate = deferred();
    await withScope({ name: "root" }, async (scope) => {
      spawn(scope, async function outer(own) {
        spawn(own, async function inner() {
          await gate.promise;
        });
      });
      void Promise.resolve().then(gate.resolve);
    });
    expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(["inner", "outer", "root"]);
  });

  it("an error is recorded once, where it happened, and sets the status of every span that it has failed", async () => {
    const boom = new Error("boom");
    const failing = withScope({ name: "root" }, (scope) =>
      all(scope, [
        async function load(own) {
          await spawn(own, async function parse() {
            await flush();
            throw boom;
          });
        },
        untilCancelled,
      ]),
    );
    expect(await rejection(failing)).toBe(boom);
    const exceptions = exporter
      .getFinishedSpans()
      .filter(({ events }) => events.some(({ name }) => name === "exception"));
    expect(exceptions.map(({ name }) => name)).toEqual(["parse"]);
    for (const name of ["parse", "load", "all", "root"])
      expect(ended(name).status).toEqual({ code: SpanStatusCode.ERROR, message: "Error: boom" });
    const cancelled = ended("untilCancelled");
    expect(cancelled.status.code).toBe(SpanStatusCode.UNSET);
    expect(cancelled.events.map(({ name }) => name)).toEqual(["cancelled"]);
    expect(cancelled.attributes["bough.status"]).toBe("cancelled");
  });

  it("the failures before a success are on their attempts", async () => {
    let runs = 0;
    await withScope({ name: "root" }, (scope) =>
      retry(
        scope,
        async function load() {
          if (++runs < 3) throw new Error(`attempt ${runs}`);
        },
        { minDelay: 0 },
      ),
    );
    const attempts = exporter.getFinishedSpans().filter(({ name }) => name === "load");
    expect(attempts.map(({ status }) => status.message)).toEqual([
      "Error: attempt 1",
      "Error: attempt 2",
      undefined,
    ]);
    expect(ended("retry").status.code).toBe(SpanStatusCode.UNSET);
  });
});

describe("one trace per request", () => {
  /** The work of each handler, in the scope of its request. */
  async function handle(scope: Scope, id: string): Promise<void> {
    await query(`auth ${id}`);
    await all(scope, [
      async function stock(): Promise<void> {
        await query(`stock ${id}`);
      },
      async function price(own): Promise<void> {
        await spawn(own, () => query(`price ${id}`), { name: "lookup" });
      },
    ]);
  }

  async function expectTraces(server: Server, method: string): Promise<void> {
    const { port } = server.address() as AddressInfo;
    const body = method === "POST" ? JSON.stringify({ some: "body" }) : undefined;
    const headers = { "content-type": "application/json", connection: "close" };
    const answers = await Promise.all(
      Array.from({ length: 50 }, async (_, id) => {
        const response = await fetch(`http://127.0.0.1:${port}/orders/${id}`, {
          method,
          headers,
          ...(body && { body }),
        });
        return [response.status, await response.text()];
      }),
    );
    expect(answers).toEqual(Array.from({ length: 50 }, (_, id) => [200, `${id}`]));
    await expect
      .poll(
        () =>
          exporter.getFinishedSpans().filter(({ parentSpanContext }) => parentSpanContext === undefined)
            .length,
      )
      .toBe(50);
    const traces = groupByTrace();
    expect(traces.size).toBe(50);
    for (const spans of traces.values()) {
      const id = /\d+$/.exec(spans.find(({ name }) => name.startsWith("auth"))!.name)![0];
      const request = spans.find(({ parentSpanContext }) => parentSpanContext === undefined)!.name;
      expect(request).toBe(`${method} /orders/:id`); // the route, which Express finds after the span has begun
      expect(tree(spans)).toEqual(
        [
          request,
          `${request} > all`,
          `${request} > all > price`,
          `${request} > all > price > lookup`,
          `${request} > all > price > lookup > price ${id}`,
          `${request} > all > stock`,
          `${request} > all > stock > stock ${id}`,
          `${request} > auth ${id}`,
        ].toSorted(),
      );
    }
  }

  function groupByTrace(): Map<string, ReadableSpan[]> {
    const traces = new Map<string, ReadableSpan[]>();
    for (const span of exporter.getFinishedSpans()) {
      const { traceId } = span.spanContext();
      traces.set(traceId, [...(traces.get(traceId) ?? []), span]);
    }
    return traces;
  }

  async function listening(server: Server): Promise<Server> {
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    return server;
  }

  it.each(["GET", "POST"])("in Express, also for fifty concurrent %s requests", async (method) => {
    const app = express();
    app.use(expressBough({ timeout: 60_000 }), express.json());
    app.all("/orders/:id", async (request, response) => {
      await handle(request.scope, request.params.id);
      response.send(request.params.id);
    });
    await expectTraces(await listening(http.createServer(app)), method);
  });

  it.each(["GET", "POST"])("in Fastify, also for fifty concurrent %s requests", async (method) => {
    const app = Fastify();
    await app.register(fastifyBough);
    app.all<{ Params: { id: string } }>("/orders/:id", async (request) => {
      await handle(request.scope, request.params.id);
      return request.params.id;
    });
    await app.listen({ port: 0, host: "127.0.0.1" });
    onTestFinished(() => app.close());
    await expectTraces(app.server, method);
  });

  it("continues the trace that an instrumentation of HTTP has begun", async () => {
    const app = express();
    app.use(expressBough());
    app.get("/orders/:id", async (request, response) => {
      await handle(request.scope, request.params.id);
      response.send(request.params.id);
    });
    const server = await listening(
      http.createServer((request, response) => {
        tracer.startActiveSpan("server", { kind: SpanKind.SERVER }, (span) => {
          response.on("close", () => setImmediate(() => span.end()));
          app(request, response);
        });
      }),
    );
    const { port } = server.address() as AddressInfo;
    for (const id of [1, 2]) {
      const headers = { connection: "close" };
      expect(await (await fetch(`http://127.0.0.1:${port}/orders/${id}`, { headers })).text()).toBe(`${id}`);
    }
    await expect
      .poll(() => exporter.getFinishedSpans().filter(({ name }) => name === "server").length)
      .toBe(2);
    const traces = [...groupByTrace().values()];
    expect(traces).toHaveLength(2);
    for (const spans of traces) {
      const request = spans.find(({ name }) => name.startsWith("GET"))?.name;
      expect(tree(spans)).toContain(`server > ${request} > all > price > lookup`);
    }
  });

  it("in node:http, in the tasks of the request's scope, though a task has called listen()", async () => {
    await withScope({ name: "main" }, async (main) => {
      const server = http.createServer((request, response) => {
        const scope = requestScope(request, response);
        const id = /\d+/.exec(request.url ?? "")![0];
        spawn(scope, (own) => handle(own, id), { name: "handler" }).then(
          () => response.end(id),
          () => response.destroy(),
        );
      });
      await spawn(main, async function listener() {
        await listening(server);
      });
      const { port } = server.address() as AddressInfo;
      await Promise.all([1, 2, 3].map(async (id) => (await fetch(`http://127.0.0.1:${port}/${id}`)).text()));
      await expect
        .poll(() => exporter.getFinishedSpans().filter(({ name }) => name.startsWith("GET")).length)
        .toBe(3);
      server.closeAllConnections();
    });
    const requests = [...groupByTrace().values()].filter((spans) =>
      spans.some(({ name }) => name.startsWith("GET")),
    );
    expect(requests).toHaveLength(3);
    for (const spans of requests) {
      const { name: root } = spans.find(({ parentSpanContext }) => parentSpanContext === undefined)!;
      expect(tree(spans)).toContain(`${root} > handler > all > price > lookup`);
    }
  });
});

describe("the spans of a recording, as docs/diagnostics.md makes them", () => {
  /** Records `work`, and exports the spans of the recording, as it is read from a file, alone. */
  async function recorded(work: () => unknown): Promise<void> {
    using recorder = createRecorder();
    await work();
    const recording = decodeRecording(encodeRecording(recorder.take()));
    exporter.reset();
    exportSpans(recording, tracer);
  }

  it("are nested in the same way as the scopes", async () => {
    await recorded(async () => {
      await withScope({ name: "request" }, async (scope) => {
        await all(scope, [async function stock() {}, async function price() {}]);
        await spawn(scope, async function order() {});
      });
    });
    expect(tree()).toEqual([
      "request",
      "request > all",
      "request > all > price",
      "request > all > stock",
      "request > order",
    ]);
  });

  it("have the times of the recording, to parts of a millisecond, each within its parent's", async () => {
    const before = Date.now();
    await recorded(() =>
      withScope({ name: "outer" }, (scope) => spawn(scope, async () => flush(), { name: "inner" })),
    );
    const [outer, inner] = [ended("outer"), ended("inner")];
    const ms = ([seconds, nanos]: readonly [number, number]): number => seconds * 1e3 + nanos / 1e6;
    expect(ms(outer.startTime)).toBeGreaterThanOrEqual(before - 1);
    expect(ms(inner.startTime)).toBeGreaterThanOrEqual(ms(outer.startTime));
    expect(ms(inner.endTime)).toBeLessThanOrEqual(ms(outer.endTime));
    expect(ms(outer.duration)).toBeGreaterThan(0);
  });

  it("have the outcome: an error with its name, a cancellation with its kind", async () => {
    await recorded(async () => {
      const failing = withScope({ name: "failing" }, () => {
        throw new TypeError("secret");
      });
      expect(await rejection(failing)).toBeInstanceOf(TypeError);
      const scope = createScope({ name: "cancelled" });
      scope.cancel();
      await scope.close();
    });
    expect(ended("failing").status).toEqual({ code: SpanStatusCode.ERROR, message: "TypeError" });
    expect(ended("failing").attributes).toMatchObject({ "bough.status": "failed" });
    expect(ended("cancelled").attributes).toMatchObject({ "bough.reason": "explicit" });
    expect(ended("cancelled").status.code).toBe(SpanStatusCode.UNSET);
  });

  it("are not created for scopes that still run", async () => {
    const open = createScope({ name: "open" });
    onTestFinished(() => open.close());
    await recorded(() => withScope(open, { name: "done" }, () => {}));
    expect(tree()).toEqual(["? > done"]);
  });
});
