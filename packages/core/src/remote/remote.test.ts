import { describe, expect, it } from "vitest";
import {
  createContextKey,
  createScope,
  DeadlineExceededError,
  ScopeClosedError,
  sleep,
  spawn,
  StuckTasksError,
  withScope,
  type Scope,
} from "../index.js";
import { formatTree, snapshot } from "../inspect/index.js";
import { verifyNoLeaks, withVirtualClock } from "../testing/index.js";
import { EngineClock } from "./engine-clock.js";
import type { EngineConnection, Envelope, Settlement, WireError } from "./engine.js";
import type { Parser } from "./job.js";
import {
  connectRemote,
  defineJob,
  implement,
  monotonicNow,
  type RemoteError,
  RemoteLostError,
  RemoteRefusedError,
  serve,
  type AnyImplementation,
  type Remote,
  type RemoteOptions,
  type ServeOptions,
} from "./index.js";
import { collectUnhandled } from "../../test/support/unhandled-rejections.js";
import { memoryEngine, type MemoryEngine } from "./testing/index.js";
import type { Codec } from "./payload.js";
import { decodeThrown, encodeThrown, readReason } from "./wire.js";

interface World {
  readonly engine: MemoryEngine;
  readonly scope: Scope;
  readonly remote: Remote;
}

/** An owner and a worker, under the virtual clock. */
async function world(
  implementations: readonly AnyImplementation[],
  body: (world: World) => Promise<void>,
  options: { readonly owner?: RemoteOptions; readonly worker?: ServeOptions } = {},
): Promise<void> {
  await withVirtualClock(async () => {
    const engine = memoryEngine();
    await withScope({ name: "root", supervise: true }, async (root) => {
      const service =
        implementations.length === 0
          ? undefined
          : await serve(root, engine.as("worker"), implementations, {
              concurrency: 10,
              worker: "w/1",
              ...options.worker,
            });
      await withScope(root, { name: "owner", supervise: true }, async (scope) => {
        const remote = await connectRemote(scope, engine.as("owner"), options.owner);
        await body({ engine, scope, remote });
      });
      await service?.drain();
    });
    expect([engine.unfinished, engine.leases]).toEqual([[], 0]);
  });
}

const wait = defineJob<number, string>("wait");
const waiting = implement(wait, async (own, ms) => {
  await sleep(own, ms);
  return "done";
});
const echo = defineJob<unknown, unknown>("echo");
const echoing = implement(echo, (_, data) => data);

const unhandled = collectUnhandled();

const errorOf = (promise: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(promise).then(
    () => "no error",
    (error: unknown) => error,
  );

describe("values that are sent between processes", () => {
  it("data are JSON, and __proto__ is dropped", () =>
    world([echoing], async ({ scope, remote }) => {
      const date = new Date(0);
      expect(await remote.spawn(scope, echo, { date, list: [1, "ü", null], none: undefined })).toEqual({
        date: date.toISOString(),
        list: [1, "ü", null],
      });
      const evil = JSON.parse('{"a":{"__proto__":{"x":1}},"\\u005f_proto__":{"y":2}}') as object;
      const answer = (await remote.spawn(scope, echo, evil)) as { a: object };
      expect(Object.keys(answer)).toEqual(["a"]);
      expect(Object.getOwnPropertyNames(answer.a)).toEqual([]);
      expect(await remote.spawn(scope, echo, undefined)).toBeUndefined();
    }));

  const circular: { self?: unknown } = {};
  circular.self = circular;
  it.each([
    ["a cycle", circular],
    ["a bigint", 1n],
    ["a function", () => 1],
    ["a toJSON that throws", { toJSON: () => raise("no") }],
    ["more than maxSize", "x".repeat(101)],
    ["more bytes than maxSize, in fewer characters", "ü".repeat(60)],
  ])("data that are %s are refused before they are submitted", (_, data) =>
    world(
      [],
      async ({ engine, scope, remote }) => {
        const task = remote.spawn(scope, echo, data);
        const error = await errorOf(task);
        expect(error).toBeInstanceOf(RemoteRefusedError);
        expect(String(error)).toContain("the data of echo@1");
        expect([task.status, engine.unfinished]).toEqual(["failed", []]);
        expect(await errorOf(remote.detach(echo, data))).toBeInstanceOf(RemoteRefusedError);
      },
      { owner: { maxSize: 100 } },
    ),
  );

  it("a result that can't travel fails the task", () => {
    const big = defineJob<undefined, unknown>("big");
    return world(
      [implement(big, () => "x".repeat(200)), implement(wait, () => 1n as never)],
      async ({ scope, remote }) => {
        for (const task of [
          remote.spawn(scope, big, undefined),
          remote.spawn(scope, wait, 1, { attempts: 5 }),
        ])
          expect(await errorOf(task)).toMatchObject({
            name: "RemoteRefusedError",
            code: "BOUGH_REMOTE_REFUSED",
          });
      },
      { worker: { maxSize: 100 } },
    );
  });

  const positive = {
    "~standard": {
      version: 1 as const,
      vendor: "test",
      validate: async (value: unknown) =>
        typeof value === "number" && value > 0
          ? { value: value * 10 }
          : { issues: [{ message: "must be positive", path: ["n", { key: 0 }] }] },
    },
  };
  const even = (value: unknown): number =>
    (value as number) % 2 === 0 ? (value as number) : raise("must be even");

  it("each side checks the values that it receives, by a Standard Schema or a function, and a job that does not fit never runs", () => {
    const job = defineJob<number, number>("checked", { parse: positive, parseResult: even });
    const seen: number[] = [];
    return world([implement(job, (_, n) => (seen.push(n), n / 5))], async ({ scope, remote }) => {
      expect(await remote.spawn(scope, job, 3)).toBe(6);
      const input = await errorOf(remote.spawn(scope, job, -1, { attempts: 3 }));
      expect(input).toMatchObject({ name: "RemoteRefusedError" });
      expect(String(input)).toContain("n.0: must be positive");
      const odd = defineJob<number, number>("checked", {
        parseResult: (value) => even((value as number) + 1),
      });
      const output = await errorOf(remote.spawn(scope, odd, 1));
      expect(output).toBeInstanceOf(RemoteRefusedError);
      expect(String(output)).toContain("the result of checked@1 does not fit: must be even");
      expect(seen).toEqual([30, 10]);
    });
  });

  it("a codec changes the payload that the engine stores, and both sides read it", async () => {
    const codec = {
      encode: async (json: string) => json.split("").toReversed().join(""),
      decode: (text: string) => text.split("").toReversed().join(""),
    };
    const bodies: (string | undefined)[] = [];
    const results: unknown[] = [];
    await withVirtualClock(async () => {
      const engine = memoryEngine();
      const spying = spyOn(engine, (jobs) => bodies.push(...jobs.map(({ body }) => body)));
      await withScope({ supervise: true }, async (scope) => {
        const service = await serve(scope, engine, [echoing], { codec });
        await withScope(scope, async (owner) => {
          const remote = await connectRemote(owner, spying, { codec });
          results.push(await remote.spawn(owner, echo, "secret"));
          const plain = await connectRemote(owner, engine);
          results.push(await errorOf(plain.spawn(scope, echo, { a: 1 })));
        });
        await service.drain();
      }).catch(() => {});
    });
    expect(bodies).toEqual(['"terces"']);
    expect(results).toEqual(["secret", expect.objectContaining({ name: "RemoteRefusedError" })]);
  });

  it("redact changes errors before they leave their process", () =>
    world(
      [implement(wait, () => raise("password 123", new Error("inner 123")))],
      async ({ scope, remote }) => {
        const error = (await errorOf(remote.spawn(scope, wait, 1))) as RemoteError;
        expect([error.message, (error.cause as Error).message, error.remote.stack]).toEqual([
          "***",
          "***",
          undefined,
        ]);
      },
      {
        worker: {
          redact: ({ name }: WireError) => ({
            name,
            message: "***",
            cause: { error: { name, message: "***" } },
          }),
        },
      },
    ));

  it.each<[string, (wire: WireError) => unknown]>([
    ["throws", () => raise("redact failed for password 123")],
    ["returns nothing", () => undefined],
    ["returns no error", () => ["password 123"]],
  ])("nothing of an error leaves its process when redact %s", (_, redact) =>
    world(
      [implement(wait, () => raise("password 123", new Error("password 123")))],
      async ({ scope, remote }) => {
        const error = (await errorOf(remote.spawn(scope, wait, 1))) as RemoteError;
        expect([error.name, error.message, error.cause, error.remote.stack]).toEqual([
          "Error",
          "an error that redact has failed for",
          undefined,
          undefined,
        ]);
      },
      { worker: { redact: redact as never } },
    ),
  );

  it.each<[string, Partial<Codec>, string]>([
    ["encode returns no string", { encode: () => 7 as never }, "codec.encode returned 7, not a string"],
    ["encode throws", { encode: () => raise("no key") }, "no key"],
    ["decode throws", { decode: () => raise("no key") }, "the data of echo@1 can't be read"],
    ["decode returns no JSON", { decode: () => "{" }, "the data of echo@1 can't be read"],
    ["decode returns no string", { decode: () => undefined as never }, "the data of echo@1 can't be read"],
  ])("a job fails when its codec's %s", (_, broken, message) => {
    const codec = { encode: (json: string) => json, decode: (text: string) => text, ...broken };
    return world(
      [echoing],
      async ({ scope, remote }) => {
        expect(await errorOf(remote.spawn(scope, echo, "data"))).toMatchObject({
          message: expect.stringContaining(message) as string,
        });
      },
      { owner: { codec }, worker: { codec } },
    );
  });

  it.each<[string, Parser<number>]>([
    ["a function that throws what is no error", () => Promise.reject("no number")],
    [
      "a schema that throws",
      { "~standard": { version: 1, vendor: "v", validate: () => raise("no number") } },
    ],
    [
      "a schema that rejects",
      { "~standard": { version: 1, vendor: "v", validate: () => Promise.reject(new Error("no number")) } },
    ],
  ])("a job whose data are checked by %s is refused, and not tried again", (_, parse) => {
    const job = defineJob<number>("checked", { parse });
    return world([implement(job, () => raise("called"))], async ({ scope, remote }) => {
      const error = await errorOf(remote.spawn(scope, job, 1, { attempts: 5 }));
      expect(error).toMatchObject({ name: "RemoteRefusedError" });
      expect(String(error)).toContain("the data of checked@1 does not fit");
      expect(String(error)).toContain("no number");
    });
  });

  it("__proto__ is dropped from context values and from what was thrown, too", () => {
    const key = createContextKey<{ a: object }>("key");
    const evil = (): { a: object } => JSON.parse('{"a":{"__proto__":{"x":1}}}') as { a: object };
    const context = defineJob<undefined, unknown>("context");
    return world(
      [
        implement(context, (own) => Object.getOwnPropertyNames(own.get(key).a)),
        implement(wait, () => Promise.reject(evil())),
      ],
      async ({ scope, remote }) => {
        const names = await withScope(scope, (own) => {
          own.set(key, evil());
          return remote.spawn(own, context, undefined);
        });
        expect(names).toEqual([]);
        const thrown = (await errorOf(remote.spawn(scope, wait, 1))) as { a: object };
        expect(Object.getOwnPropertyNames(thrown.a)).toEqual([]);
      },
      { owner: { contexts: [key] }, worker: { contexts: [key] } },
    );
  });

  it.each<[string, unknown]>([
    ["null", null],
    ["a string", "x"],
    ["an unknown one", { t: "later" }],
    ["an error without an error", { t: "error" }],
    ["a value that is no JSON", { t: "value", body: "{" }],
    ["a value that is no text", { t: "value", body: 7 }],
  ])("an outcome that is %s is refused", (_, outcome) =>
    world([], async ({ engine, scope, remote }) => {
      await withScope(scope, async (own) => {
        const connection = await engine.as("foreign").open(own);
        const settle = (): Promise<Settlement> => Promise.resolve({ outcome } as never);
        const options = { concurrency: 1, lease: 1_000, worker: "foreign", onError: () => {} };
        const consumer = await connection.consume(echo.queue, options, settle);
        const ref = await remote.detach(echo, 1);
        expect(await errorOf(remote.attach(scope, ref))).toBeInstanceOf(RemoteRefusedError);
        expect(await errorOf(remote.spawn(scope, echo, 1))).toBeInstanceOf(RemoteRefusedError);
        await consumer.stop();
      });
    }),
  );

  it("errors and reasons that bough did not write are read without an error, and not too deeply", () => {
    let deep: unknown = { error: { name: "E", message: "last" } };
    for (let n = 0; n < 50_000; n++)
      deep = { error: { name: 7, message: null, cause: deep, errors: 3, code: {} } };
    const error = decodeThrown(deep as never) as RemoteError;
    expect([error.name, error.message, error.code, error.errors]).toEqual([
      "7",
      "null",
      undefined,
      undefined,
    ]);
    for (const wire of [null, 7, "x", [], { error: 7 }, {}])
      expect(() => decodeThrown(wire as never)).not.toThrow();
    expect(readReason({ kind: "toString", path: 7 })).toEqual({ kind: "explicit" });
    expect(readReason(null)).toEqual({ kind: "explicit" });
  });

  it.each([
    ["a string", "text", "text"],
    ["nothing", undefined, null],
    ["an object", { a: 1 }, { a: 1 }],
    ["a symbol", Symbol("s"), "Symbol(s)"],
  ])("%s that was thrown arrives as the plain value", (_, thrown, expected) =>
    world([implement(wait, () => Promise.reject(thrown))], async ({ scope, remote }) => {
      expect(await errorOf(remote.spawn(scope, wait, 1))).toEqual(expected);
    }),
  );

  it("causes travel four levels deep, and the errors of an AggregateError with them", () => {
    let error = new Error("5");
    for (const n of [4, 3, 2, 1, 0]) error = new Error(String(n), { cause: error });
    const copy = decodeThrown(
      encodeThrown(new AggregateError([error, "x"], "all"), undefined),
    ) as RemoteError;
    expect([copy.name, copy.errors?.length, copy.errors?.[1]]).toEqual(["AggregateError", 2, "x"]);
    let depth = 0;
    for (let at: unknown = copy.errors?.[0]; at instanceof Error; at = at.cause) depth += 1;
    expect(depth).toBe(4);
    expect(copy.remote.stack?.length).toBeLessThanOrEqual(8_192);
  });

  it("keys of the same name are refused, since values travel by name", async () => {
    const keys = [createContextKey("a"), createContextKey("a")];
    await withScope(async (scope) => {
      await expect(connectRemote(scope, memoryEngine(), { contexts: keys })).rejects.toThrow(RangeError);
    });
  });
});

describe("leases and clocks", () => {
  it("the difference of the clocks is narrowed by each answer, and measured again when a clock was set", () => {
    const clock = new EngineClock();
    const now = monotonicNow();
    clock.sample(now, 1_000_050, now + 100);
    expect(clock.now() - 1_000_000 - (monotonicNow() - now)).toBeCloseTo(0, -1);
    clock.sample(now + 100, 1_000_101, now + 102);
    expect(Math.abs(clock.now() - 1_000_000 - (monotonicNow() - now))).toBeLessThan(2);
    clock.sample(now + 200, 1_060_201, now + 202);
    expect(Math.abs(clock.now() - 1_060_000 - (monotonicNow() - now))).toBeLessThan(2);
    expect(clock.certainlyPast(1_060_300)).toBeGreaterThanOrEqual(now + 300);
  });

  it("a deadline holds when the engine's clock is a minute away, and when it is set during the job", () =>
    world([waiting], async ({ engine, scope, remote }) => {
      engine.stepClock(-60_000);
      await sleep(scope, 10_000);
      const began = monotonicNow();
      const task = remote.spawn(scope, wait, 60_000, { timeout: 5_000 });
      await sleep(scope, 1_000);
      engine.stepClock(-30_000);
      expect(await errorOf(task)).toBeInstanceOf(DeadlineExceededError);
      expect(monotonicNow() - began).toBeLessThan(5_100);
    }));

  it("a clock of the engine that jumps forward ends the lease: the jobs end, then their tasks, and new ones work", () =>
    world([waiting], async ({ engine, scope, remote }) => {
      const task = remote.spawn(scope, wait, 600_000);
      await sleep(scope, 100);
      engine.stepClock(3_600_000);
      const error = await errorOf(task);
      expect(error).toBeInstanceOf(RemoteLostError);
      expect((error as RemoteLostError).why).toBe("lease");
      expect(await remote.spawn(scope, wait, 10)).toBe("done");
    }));

  it("a renewal that waited in an offline queue does not revive a lease that was believed lost", () =>
    world([waiting], async ({ engine, scope, remote }) => {
      const task = remote.spawn(scope, wait, 600_000);
      await sleep(scope, 100);
      const connect = engine.cut("queue", "owner");
      expect(await errorOf(task)).toMatchObject({ why: "lease" });
      connect();
      await sleep(scope, 20_000);
      expect(engine.leases).toBe(1);
      expect(await remote.spawn(scope, wait, 10)).toBe("done");
    }));

  it("an owner that is cut off for half its lease keeps its jobs, in each way a client can be offline", async () => {
    for (const mode of ["reject", "hang", "queue"] as const)
      await world([waiting], async ({ engine, scope, remote }) => {
        const task = remote.spawn(scope, wait, 30_000);
        await sleep(scope, 100);
        for (const process of ["owner", "worker", "*"]) {
          const connect = engine.cut(mode, process);
          await sleep(scope, 7_400);
          connect();
          await sleep(scope, 500);
        }
        expect(await task).toBe("done");
      });
  });

  it("an onError that throws stops neither heartbeats nor submits, and its error is an unhandled rejection", () => {
    const broken = new Error("the logger has failed");
    const options = {
      onError: (): never => {
        throw broken;
      },
    };
    return world(
      [waiting],
      async ({ engine, scope, remote }) => {
        const connect = engine.cut("reject");
        const task = remote.spawn(scope, wait, 20_000);
        await sleep(scope, 5_000);
        connect();
        await sleep(scope, 5_000);
        const again = engine.cut("reject");
        await sleep(scope, 5_000);
        again();
        expect(await task).toBe("done");
        expect(unhandled).toContain(broken);
      },
      { owner: options, worker: options },
    );
  });

  it("a worker that can't see an owner gives its job back, and the job of a living owner is not lost", () =>
    world([waiting], async ({ engine, scope, remote }) => {
      const task = remote.spawn(scope, wait, 40_000);
      await sleep(scope, 100);
      const connect = engine.cut("hang", "worker");
      await sleep(scope, 20_000);
      connect();
      expect(await task).toBe("done");
    }));

  it("a job that does not yield to the event loop sees the end of its lease in throwIfCancelled", () =>
    world(
      [
        implement(wait, async (own) => {
          const sync = new Promise((resolve) => setTimeout(resolve, 30_000)); // the timers of its lease do not fire meanwhile
          await sync;
          own.throwIfCancelled();
          return "not cancelled";
        }),
      ],
      async ({ engine, scope, remote }) => {
        const task = remote.spawn(scope, wait, 0, { onWorkerLost: "fail" });
        await sleep(scope, 100);
        const connect = engine.cut("hang", "worker");
        await sleep(scope, 29_000);
        connect();
        expect(await errorOf(task)).toMatchObject({ name: "RemoteLostError", why: "worker" });
      },
    ));

  it("a job survives lostRetries lost workers and no more", async () => {
    for (const lostRetries of [0, 2]) {
      let starts = 0;
      let error: unknown;
      await withVirtualClock(async () => {
        const engine = memoryEngine();
        await withScope({ supervise: true }, async (root) => {
          const job = implement(wait, async (own) => {
            starts += 1;
            const connect = engine.cut("hang", "worker");
            own.defer(async () => {
              await new Promise((resolve) => setTimeout(resolve, 20_000)); // until the lock has run out
              connect();
            });
            await sleep(own, 100_000);
            return "never";
          });
          await serve(root, engine.as("worker"), [job]);
          const remote = await connectRemote(root, engine.as("owner"));
          error = await errorOf(remote.spawn(root, wait, 1, { lostRetries }));
          root.cancel();
        }).catch(() => {});
      });
      expect(error).toMatchObject({ why: "worker" });
      expect(starts).toBe(lostRetries + 1);
    }
  });
});

describe("a remote task in its tree", () => {
  it("maxPending makes further tasks wait in order, and a cancelled one leaves the queue at once", () =>
    world(
      [waiting],
      async ({ engine, scope, remote }) => {
        const tasks = [1, 2, 3, 4, 5].map((n) => remote.spawn(scope, wait, 1_000 * n));
        await sleep(scope, 100);
        expect(engine.unfinished).toHaveLength(2);
        expect(
          snapshot(scope)
            .children.map(({ annotations }) => annotations?.["remote"] as { at: string } | undefined)
            .map((data) => data?.at),
        ).toEqual(["queued", "queued", "waiting", "waiting", "waiting"]);
        tasks[3]?.cancel();
        await errorOf(tasks[3] as never);
        expect(engine.unfinished).toHaveLength(2);
        expect(await tasks[4]).toBe("done");
      },
      { owner: { maxPending: 2 } },
    ));

  it("a snapshot shows where the job is, who runs it, and for whom; so does the report of stuck tasks", async () => {
    let end = (): void => {};
    const stubborn = implement(wait, () => new Promise<string>((resolve) => (end = () => resolve("late"))));
    await world([stubborn], async ({ scope, remote }) => {
      const handle = createScope(scope, { name: "call" });
      const task = remote.spawn(handle, wait, 1, { id: "job-1" });
      await sleep(scope, 4_000); // a heartbeat says who runs it
      expect(snapshot(handle).children[0]).toMatchObject({
        note: "waiting for w/1",
        annotations: { remote: { queue: "wait@1", id: "job-1", at: "running", worker: "w/1", attempt: 1 } },
      });
      expect(formatTree(snapshot())).toContain(`for ${task.path}`);
      task.cancel();
      await sleep(scope, 10);
      expect(formatTree(snapshot(handle))).toContain("cancelling, waiting for w/1");
      const error = await errorOf(handle.close({ grace: 1_000 }));
      expect(error).toBeInstanceOf(StuckTasksError);
      expect(String(error)).toContain("cancelling, waiting for w/1");
      end();
      expect(await task).toBe("late");
      await handle.close();
    });
  });

  it("a snapshot says why a job could not be submitted yet", () =>
    world([waiting], async ({ engine, scope, remote }) => {
      expect(await remote.spawn(scope, wait, 1)).toBe("done");
      engine.readOnly(true);
      const task = remote.spawn(scope, wait, 1);
      await sleep(scope, 1_000);
      expect(formatTree(snapshot(scope))).toContain(
        "being submitted to wait@1 again, since the engine is read-only",
      );
      engine.readOnly(false);
      expect(await task).toBe("done");
    }));

  it("closing the owner's scope ends jobs that were spawned in another scope, with kind closed", async () => {
    const kinds: unknown[] = [];
    const job = implement(wait, async (own) => {
      own.onCancel(({ kind }) => kinds.push(kind));
      await sleep(own, 100_000);
      return "never";
    });
    await withVirtualClock(async () => {
      const engine = memoryEngine();
      await withScope({ supervise: true }, async (root) => {
        const service = await serve(root, engine, [job]);
        const owner = createScope(root, { name: "owner" });
        const remote = await connectRemote(owner, engine);
        const task = remote.spawn(root, wait, 1);
        await sleep(root, 100);
        await owner.close();
        expect(await errorOf(task)).toMatchObject({ kind: "closed" });
        expect(kinds).toEqual(["closed"]);
        expect(await errorOf(remote.spawn(root, wait, 1))).toBeInstanceOf(ScopeClosedError);
        expect(await errorOf(remote.detach(wait, 1))).toBeInstanceOf(ScopeClosedError);
        await service.drain();
      });
    });
  });

  it("closing the owner's scope ends the waits in other scopes, and waits for a job that they cancel", () =>
    world([waiting], async ({ engine, scope }) => {
      const owner = createScope(scope, { name: "other owner" });
      const remote = await connectRemote(owner, engine);
      const ref = await remote.detach(wait, 60_000);
      const left = remote.attach(scope, ref);
      const cancelling = remote.attach(scope, ref, { onCancel: "cancel" });
      await sleep(scope, 100);
      await owner.close();
      expect([left.status, cancelling.status]).toEqual(["cancelled", "cancelled"]);
      expect(await errorOf(cancelling)).toMatchObject({ kind: "closed" });
      await errorOf(left);
      expect(engine.unfinished).toEqual([]);
      expect(await errorOf(remote.attach(scope, ref))).toBeInstanceOf(ScopeClosedError);
    }));

  it("a wait that cancels its job ends with the owner's scope if the engine does not answer", async () => {
    for (const mode of ["reject", "hang"] as const)
      await world([waiting], async ({ engine, scope }) => {
        const owner = createScope(scope, { name: "other owner" });
        const remote = await connectRemote(owner, engine.as("cut off"), { lease: 1_000 });
        const ref = await remote.detach(wait, 100);
        const task = remote.attach(scope, ref, { onCancel: "cancel" });
        engine.cut(mode, "cut off");
        await owner.close();
        expect(await errorOf(task)).toMatchObject({ kind: "closed" });
        await sleep(scope, 1_000);
      });
  });

  it("a wait that can't cancel its job asks again after a pause", () => {
    const errors: unknown[] = [];
    return world(
      [waiting],
      async ({ engine, scope, remote }) => {
        const ref = await remote.detach(wait, 60_000);
        const task = remote.attach(scope, ref, { onCancel: "cancel" });
        await sleep(scope, 100);
        engine.latency(2); // without it, a loop that does not pause would never end
        const connect = engine.cut("reject", "owner");
        errors.length = 0;
        task.cancel();
        await sleep(scope, 1_000);
        connect();
        expect(await errorOf(task)).toMatchObject({ kind: "explicit" });
        expect(errors.length).toBeLessThan(20);
      },
      { owner: { onError: (error) => errors.push(error) } },
    );
  });

  it("a task in a cancelled scope starts cancelled and submits nothing", () =>
    world([], async ({ engine, scope, remote }) => {
      const handle = createScope(scope);
      handle.cancel("before");
      const task = remote.spawn(handle, wait, 1);
      expect(task.status).toBe("cancelled");
      await sleep(scope, 100);
      expect(engine.unfinished).toEqual([]);
    }));

  it("a handle that is dropped is an orphan, and the remote does not keep it", async () => {
    const scope = createScope({ name: "root", supervise: true });
    const engine = memoryEngine();
    const service = await serve(scope, engine, [waiting]);
    const remote = await connectRemote(scope, engine);
    const { expectCollected } = await import("../testing/index.js");
    await expectCollected(() => {
      const handle = createScope(scope, { name: "dropped", onOrphan: "ignore" });
      remote.spawn(handle, wait, 100_000);
      return handle;
    });
    await service.drain();
    await scope.close();
  });

  it("after close no socket, timer or scope is left", async () => {
    const scope = createScope({ name: "root", supervise: true });
    const engine = memoryEngine();
    await serve(scope, engine, [waiting]);
    const remote = await connectRemote(scope, engine);
    expect(await remote.spawn(scope, wait, 1)).toBe("done");
    const task = remote.spawn(scope, wait, 60_000);
    await sleep(scope, 20);
    await scope.close();
    await errorOf(task);
    await verifyNoLeaks();
  });
});

describe("ids", () => {
  const other = defineJob<number, string>("other");
  const both = [
    waiting,
    implement(other, async (own, ms) => {
      await sleep(own, ms);
      return "the other one";
    }),
  ];

  it.each(["deliver", "drop", "twice"] as const)(
    "jobs of different queues may have the same id: each has its own outcome (hints: %s)",
    (hints) =>
      world(both, async ({ engine, scope, remote }) => {
        engine.hints(hints);
        const slow = remote.spawn(scope, other, 2_000, { id: "same" });
        expect(await remote.spawn(scope, wait, 100, { id: "same" })).toBe("done");
        expect(await slow).toBe("the other one");
      }),
  );

  it("cancelling a job leaves the job with the same id in another queue alone", () =>
    world(both, async ({ scope, remote }) => {
      const stays = remote.spawn(scope, wait, 2_000, { id: "same" });
      const ends = remote.spawn(scope, other, 60_000, { id: "same" });
      await sleep(scope, 100);
      ends.cancel();
      expect(await errorOf(ends)).toMatchObject({ kind: "explicit" });
      expect(await stays).toBe("done");
      const again = remote.spawn(scope, other, 2_000, { id: "again" });
      const first = remote.spawn(scope, wait, 60_000, { id: "again" });
      await sleep(scope, 100);
      first.cancel();
      expect(await errorOf(first)).toMatchObject({ kind: "explicit" });
      expect(await again).toBe("the other one");
    }));
});

describe("interleavings", () => {
  /** Every call takes some ms; a fault comes at each moment of a job's life. */
  const moments = Array.from({ length: 28 }, (_, index) => index);

  async function scene(
    at: number,
    fault: (
      world: World & { task: Promise<unknown> & { cancel(cause?: unknown): boolean } },
    ) => void | Promise<void>,
    hints: "deliver" | "drop" | "twice",
  ): Promise<{ running: number; most: number; startedAfter: boolean; outcome: unknown }> {
    let running = 0;
    let most = 0;
    let isSettled = false;
    let startedAfter = false;
    let settledWhileRunning = false;
    let outcome: unknown;
    const job = implement(wait, async (own, ms) => {
      running += 1;
      most = Math.max(most, running);
      startedAfter ||= isSettled;
      try {
        await sleep(own, ms);
        return "done";
      } finally {
        await new Promise((resolve) => setTimeout(resolve, 2));
        running -= 1;
      }
    });
    await world([job], async (here) => {
      here.engine.latency(4);
      here.engine.hints(hints);
      const task = here.remote.spawn(here.scope, wait, 6);
      spawn(here.scope, async () => {
        outcome = await task.catch((error: unknown) => error);
        isSettled = true;
        settledWhileRunning ||= running > 0 && !(outcome instanceof RemoteLostError);
      });
      await sleep(here.scope, at);
      await fault({ ...here, task });
      await errorOf(task);
      await sleep(here.scope, 40_000);
    });
    return { running, most, startedAfter: startedAfter || settledWhileRunning, outcome };
  }

  it.each(["deliver", "drop", "twice"] as const)(
    "a cancellation at each moment settles the task after the job, and nothing starts later (hints: %s)",
    async (hints) => {
      const outcomes = new Set<unknown>();
      for (const at of moments) {
        const result = await scene(at, ({ task }) => void task.cancel(), hints);
        expect([at, result.running, result.most <= 1, result.startedAfter]).toEqual([at, 0, true, false]);
        outcomes.add(result.outcome === "done" ? "done" : (result.outcome as { kind?: string }).kind);
      }
      expect(outcomes).toEqual(new Set(["explicit", "done"]));
    },
  );

  it.each(["owner", "worker"])(
    "%s is cut off at each moment: the job never runs twice at the same time, or after its task",
    async (process) => {
      for (const mode of ["hang", "queue"] as const)
        for (const at of moments.filter((moment) => moment % 2 === 0)) {
          const result = await scene(
            at,
            async ({ engine, scope }) => {
              const connect = engine.cut(mode, process);
              await sleep(scope, 40_000);
              connect();
            },
            "deliver",
          );
          expect([at, mode, result.running, result.most <= 1, result.startedAfter]).toEqual([
            at,
            mode,
            0,
            true,
            false,
          ]);
        }
    },
  );
});

describe("wrong arguments", () => {
  it("defineJob names the argument", () => {
    expect(() => defineJob("a b")).toThrow(/defineJob: name must be 1 to 100 letters.*"a b"/);
    expect(() => defineJob(1 as never)).toThrow(TypeError);
    expect(() => defineJob("a", { version: 0 })).toThrow(RangeError);
    expect(() => defineJob("a", { parse: 1 as never })).toThrow(
      /parse must be a function or a Standard Schema/,
    );
    expect(() => defineJob("a", { versoin: 1 } as never)).toThrow(/did you mean version/);
    expect(() => implement({} as never, () => {})).toThrow(/implement: job must be a job made by defineJob/);
    expect(() => implement(wait, 1 as never)).toThrow(TypeError);
  });

  it.each([
    [{ lease: 99 }, RangeError],
    [{ lease: Infinity }, RangeError],
    [{ maxPending: 0 }, RangeError],
    [{ contexts: ["a"] }, TypeError],
    [{ trace: {} }, TypeError],
    [{ codec: { encode: 1 } }, TypeError],
    [{ maxSize: 0.5 }, RangeError],
    [{ concurrency: 2 }, TypeError],
  ])("connectRemote refuses %o", async (options, type) => {
    await withScope(async (scope) => {
      await expect(connectRemote(scope, memoryEngine(), options as never)).rejects.toThrow(type);
    });
  });

  it("connectRemote and serve refuse arguments that are not an engine, a scope, or an implementation", async () => {
    await withScope(async (scope) => {
      await expect(connectRemote(scope, {} as never)).rejects.toThrow(/engine must be an Engine/);
      await expect(connectRemote({} as never, memoryEngine())).rejects.toThrow(TypeError);
      await expect(serve(scope, memoryEngine(), [])).rejects.toThrow(/implementations must be an array/);
      await expect(serve(scope, memoryEngine(), [{} as never])).rejects.toThrow(TypeError);
      await expect(serve(scope, memoryEngine(), [waiting, waiting])).rejects.toThrow(/different jobs/);
      await expect(serve(scope, memoryEngine(), [waiting], { concurrency: 0 })).rejects.toThrow(RangeError);
    });
  });

  it("spawn, detach, attach and cancel name the argument", () =>
    world([], async ({ scope, remote }) => {
      expect(() => remote.spawn({} as never, wait, 1)).toThrow(/remote.spawn: scope must be a Scope/);
      expect(() => remote.spawn(scope, {} as never, 1)).toThrow(TypeError);
      expect(() => remote.spawn(scope, wait, 1, { attempts: 0 })).toThrow(RangeError);
      expect(() => remote.spawn(scope, wait, 1, { id: "a/b" })).toThrow(RangeError);
      expect(() => remote.spawn(scope, wait, 1, { onWorkerLost: "x" as never })).toThrow(RangeError);
      expect(() => remote.spawn(scope, wait, 1, { backoff: { delay: 1, type: "x" as never } })).toThrow(
        RangeError,
      );
      expect(() => remote.spawn(scope, wait, 1, { delay: 1 } as never)).toThrow(TypeError);
      await expect(remote.detach(wait, 1, { timeout: 1 } as never)).rejects.toThrow(TypeError);
      expect(() => remote.attach(scope, {} as never)).toThrow(/ref must be a JobRef/);
      expect(() => remote.attach(scope, { queue: "a@1", id: "b" }, { onCancel: "x" as never })).toThrow(
        TypeError,
      );
      await expect(remote.cancel({} as never)).rejects.toThrow(TypeError);
    }));
});

function raise(message: string, cause?: Error): never {
  throw new RangeError(message, { cause });
}

/** An engine that shows what is submitted to it. */
function spyOn(engine: MemoryEngine, see: (jobs: readonly Envelope[]) => void): MemoryEngine {
  const open = async (scope: Scope): Promise<EngineConnection> => {
    const connection = await engine.as("spy").open(scope);
    const submit = connection.submit.bind(connection);
    connection.submit = (jobs) => {
      see(jobs);
      return submit(jobs);
    };
    return connection;
  };
  return { ...engine, name: "spy", open };
}
