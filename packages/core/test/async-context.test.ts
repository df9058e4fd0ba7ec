import { AsyncLocalStorage } from "node:async_hooks";
import { context, createContextKey as createOtelKey, trace, TraceFlags } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  all,
  cancellable,
  createScope,
  createSingleFlight,
  map,
  moveOnAfter,
  retry,
  selfCleaning,
  shield,
  sleep,
  spawn,
  stream,
  supervise,
  withScope,
  type Scope,
} from "../src/index.js";
import { deferred } from "./support/deferred.js";

// Rules 3 and 23: the async context of a worker is that of its spawn, also if it had to queue, that of a cleanup is
// its defer's, that of an onCancel callback the canceller's. The core has no AsyncLocalStorage of its own to do it with.

interface Carrier {
  readonly name: string;
  readonly run: <T>(value: string, fn: () => T) => T;
  readonly get: () => string | undefined;
}

const storage = new AsyncLocalStorage<string>();
const otelKey = createOtelKey("value");

const carriers: readonly Carrier[] = [
  {
    name: "AsyncLocalStorage",
    run: (value, fn) => storage.run(value, fn),
    get: () => storage.getStore(),
  },
  {
    name: "the context of OpenTelemetry",
    run: (value, fn) => context.with(context.active().setValue(otelKey, value), fn),
    get: () => context.active().getValue(otelKey) as string | undefined,
  },
];

beforeAll(() => {
  if (!context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()))
    throw new Error("OpenTelemetry has another context manager already");
});
afterAll(() => context.disable());

describe.each(carriers)("with $name", ({ run, get }) => {
  const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

  it("rule 3: a worker runs in the context of its spawn, before and after it waits", async () => {
    const scope = createScope();
    const seen: (string | undefined)[] = [];
    const worker = async (): Promise<void> => {
      seen.push(get());
      await turn();
      seen.push(get());
    };
    run("a", () => void spawn(scope, worker));
    run("b", () => void spawn(scope, worker));
    await scope.join();
    expect(seen).toEqual(["a", "b", "a", "b"]);
    expect(get()).toBeUndefined();
  });

  it("rule 3: a queued worker runs in the context of its spawn, not of the task that made room", async () => {
    const scope = createScope({ concurrency: 1 });
    const gate = deferred();
    const seen: (string | undefined)[] = [];
    run("first", () => void spawn(scope, () => gate.promise));
    run("second", () => void spawn(scope, async () => void seen.push(get())));
    run("third", () => void spawn(scope, () => void seen.push(get())));
    run("opener", () => gate.resolve());
    await scope.join();
    expect(seen).toEqual(["second", "third"]);
  });

  it("rule 23: a cleanup runs in the context of its defer or use, not in that of the code that ends the scope", async () => {
    const scope = createScope();
    const seen: (string | undefined)[] = [];
    run("defer", () => {
      scope.defer(async () => {
        seen.push(get());
        await turn();
        seen.push(get());
      });
    });
    run("use", () => void scope.use({ [Symbol.dispose]: () => void seen.push(get()) }));
    await run("closer", () => scope.close());
    expect(seen).toEqual(["use", "defer", "defer"]);
  });

  it("rule 23: an onCancel callback and an abort listener run in the canceller's context", () => {
    const scope = createScope();
    const seen: (string | undefined)[] = [];
    run("caller", () => {
      scope.onCancel(() => seen.push(get()));
      spawn(scope, (task) => {
        task.signal.addEventListener("abort", () => seen.push(get()));
        return sleep(task, Infinity);
      });
    });
    run("canceller", () => scope.cancel());
    expect(seen).toEqual(["canceller", "canceller"]);
  });

  it("waiting code continues in its own async context after a cancellation from another context", async () => {
    const scope = createScope();
    const seen: (string | undefined)[] = [];
    run("worker", () => {
      spawn(scope, (task) => sleep(task, Infinity).catch(() => seen.push(get())));
    });
    await run("canceller", () => scope.close());
    expect(seen).toEqual(["worker"]);
  });

  it.each<[string, (scope: Scope, worker: () => Promise<void>) => PromiseLike<unknown>]>([
    ["withScope", (scope, worker) => withScope(scope, worker)],
    ["all", (scope, worker) => all(scope, [worker, worker])],
    ["map", (scope, worker) => map(scope, [1, 2, 3], worker, { concurrency: 1 })],
    ["retry", (scope, worker) => retry(scope, worker)],
    ["supervise", (scope, worker) => supervise(scope, worker)],
    ["shield", (scope, worker) => shield(scope, { timeout: 1_000 }, worker)],
    ["moveOnAfter", (scope, worker) => moveOnAfter(scope, { timeout: 1_000 }, worker)],
    ["cancellable", (scope, worker) => cancellable(scope, worker, () => undefined)],
    [
      "do of a single flight",
      (scope, worker) => createSingleFlight<string, void>(scope).do(scope, "key", worker),
    ],
  ])("%s calls its workers in the caller's context", async (_, start) => {
    const seen = new Set<string | undefined>();
    await withScope((scope) =>
      run("caller", () =>
        start(scope, async () => {
          await turn();
          seen.add(get());
        }),
      ),
    );
    expect([...seen]).toEqual(["caller"]);
  });

  it("stream, which starts when it is read, calls its workers in the reader's context", async () => {
    const seen: (string | undefined)[] = [];
    await withScope(async (scope) => {
      const results = run("maker", () => stream(scope, [1, 2, 3], async () => seen.push(get())));
      await run("reader", async () => {
        for await (const _ of results) await turn();
      });
    });
    expect(seen).toEqual(["reader", "reader", "reader"]);
  });

  it("selfCleaning builds in the caller's context", async () => {
    const handle = run("caller", () =>
      selfCleaning((scope) => {
        const value = get();
        spawn(scope, async () => {}, { daemon: true });
        return { value };
      }),
    );
    expect(handle.value).toBe("caller");
    await handle[Symbol.asyncDispose]();
  });
});

it("a span of OpenTelemetry is the parent of what workers and cleanups start", async () => {
  const spanContext = {
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    traceFlags: TraceFlags.SAMPLED,
  };
  const span = trace.wrapSpanContext(spanContext);
  const seen: (string | undefined)[] = [];
  const note = (): void => void seen.push(trace.getActiveSpan()?.spanContext().spanId);
  await context.with(trace.setSpan(context.active(), span), () =>
    withScope({ concurrency: 1 }, async (scope) => {
      scope.defer(note);
      spawn(scope, note);
      spawn(scope, async () => note());
    }),
  );
  expect(seen).toEqual([spanContext.spanId, spanContext.spanId, spanContext.spanId]);
  expect(trace.getActiveSpan()).toBeUndefined();
});
