import { AsyncLocalStorage } from "node:async_hooks";
import { channel, subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { deferred, flush, rejection } from "../../test/support/deferred.js";
import { Ledger } from "../../test/support/ledger.js";
import { untilCancelled } from "../../test/support/until-cancelled.js";
import {
  all,
  allSettled,
  any,
  background,
  close,
  createScope,
  map,
  race,
  retry,
  selfCleaning,
  shield,
  sleep,
  spawn,
  start,
  stream,
  StuckTasksError,
  supervise,
  withScope,
  type Scope,
} from "../index.js";
import type * as Bough from "../index.js";
import type {
  OrphanMessage,
  ScopeCloseMessage,
  StuckMessage,
  TaskSettleMessage,
  TaskStartMessage,
} from "../inspect/index.js";
import { collectGarbage } from "../testing/index.js";

const names = ["scope:open", "scope:cancel", "scope:close", "task:start", "task:settle", "orphan", "stuck"];
const boom = new Error("boom");

type Message = { readonly scope: Scope } & Record<string, unknown>;
const heard: { readonly on: string; readonly message: Message }[] = [];
const stops: (() => void)[] = [];

function hear(name: string, listener: (message: Message) => void): void {
  const own = (message: unknown): void => listener(message as Message);
  subscribe(`bough:${name}`, own);
  stops.push(() => unsubscribe(`bough:${name}`, own));
}

/** The received messages, shortened to the channel and the scope. */
function log(): string[] {
  return heard.map(({ on, message: { scope } }) => `${on} ${scope.path}`);
}

function messageOn<M>(name: string): M {
  return heard.find(({ on }) => on === name)?.message as M;
}

beforeEach(() => {
  for (const name of names) hear(name, (message) => heard.push({ on: name, message }));
});
afterEach(() => {
  vi.useRealTimers();
  for (const stop of stops.splice(0)) stop();
  heard.length = 0;
});

describe("rule 27: the diagnostics channels", () => {
  it("report a tree from its start to its end, each child within its parent", async () => {
    await withScope({ name: "root" }, async (scope) => {
      await spawn(scope, async function outer(own) {
        spawn(own, async function inner() {
          await Promise.resolve();
        });
      });
      spawn(scope, function plain() {});
    });
    expect(log()).toEqual([
      "scope:open root",
      "task:start root/outer",
      "task:start root/outer/inner",
      "task:settle root/outer/inner",
      "task:settle root/outer",
      "task:start root/plain",
      "task:settle root/plain",
      "scope:close root",
    ]);
  });

  it("carry views, the same in all messages about one scope, and the outcome", async () => {
    const handle = createScope({ name: "root", supervise: true });
    let view: Scope | undefined;
    const task = spawn(handle, (own) => {
      view = own;
      throw boom;
    });
    expect(await rejection(task)).toBe(boom);
    await flush(); // a failure that was there before anybody asked keeps its task for so long
    await handle.close();
    const [open, started, cut, failed, cancelled, closed] = heard.map(({ message }) => message);
    expect(open).toEqual({ scope: expect.anything() as unknown, parent: background, kind: "createScope" });
    expect(open?.scope).not.toBe(handle);
    expect(started?.scope).toBe(view);
    expect(started).toMatchObject({
      parent: open?.scope,
      task: { path: "root/anonymous", status: "running" },
    });
    expect(cut).toEqual({ scope: view, reason: view?.reason });
    expect(view?.reason).toMatchObject({ kind: "failure", cause: boom });
    expect(failed?.scope).toBe(view);
    expect(failed).toMatchObject({ error: boom, task: { path: "root/anonymous", status: "failed" } });
    expect(cancelled).toEqual({ scope: open?.scope, reason: handle.reason });
    expect(closed).toMatchObject({
      scope: open?.scope,
      parent: background,
      kind: "createScope",
      status: "succeeded",
    });
    expect(closed).not.toHaveProperty("error");
  });

  it("report the reason of work that was cut short", async () => {
    const scope = createScope({ name: "root" });
    const task = spawn(scope, untilCancelled);
    scope.cancel("enough");
    expect(await rejection(task)).toBe(scope.reason);
    await flush();
    expect(log().slice(-2)).toEqual(["task:settle root/untilCancelled", "scope:close root"]);
    for (const { message } of heard.slice(-2)) expect(message["error"]).toBe(scope.reason);
    expect(messageOn<ScopeCloseMessage>("scope:close").status).toBe("cancelled");
  });

  it("report one cancellation once, when everything below is marked and no listener has run", async () => {
    const seen: unknown[] = [];
    const scope = createScope({ name: "root" });
    let inner: Scope | undefined;
    spawn(scope, (own) => spawn(own, (leaf) => untilCancelled((inner = leaf))));
    inner?.onCancel(() => seen.push("listener"));
    hear("scope:cancel", ({ scope: { path } }) => seen.push(path, inner?.cancelled));
    scope.cancel();
    scope.cancel();
    expect(seen).toEqual(["root", true, "listener"]);
    await scope.close();
  });

  it("report nothing for a worker or body that was never called", async () => {
    const scope = createScope({ name: "root", concurrency: 1 });
    spawn(scope, untilCancelled);
    const queued = spawn(scope, function queued() {});
    queued.cancel();
    expect(await rejection(withScope(scope, { name: "late", timeout: 0 }, () => 1))).toBeInstanceOf(Error);
    scope.cancel();
    spawn(scope, function late() {});
    createScope(scope, { name: "late" });
    await scope.close();
    expect(log().filter((line) => /queued|late/.test(line))).toEqual([
      "scope:cancel root/queued",
      "scope:cancel root/late",
    ]);
  });

  it("report a queued task when it starts", async () => {
    const scope = createScope({ name: "root", concurrency: 1 });
    const gate = deferred();
    spawn(scope, async function first() {
      await gate.promise;
    });
    spawn(scope, function second() {});
    expect(log()).not.toContain("task:start root/second");
    gate.resolve();
    await scope.join();
    expect(log().slice(-4, -1)).toEqual([
      "task:settle root/first",
      "task:start root/second",
      "task:settle root/second",
    ]);
  });

  it("report the same kind, parent and outcome for everything that has its own scope", async () => {
    const ledger = new Ledger();
    try {
      await withScope(async (scope) => {
        await all(scope, [async () => 1, () => 2]);
        await race(scope, [untilCancelled, async () => 1]);
        await shield(scope, { timeout: 1_000 }, async function shielded() {});
        await start(scope, async function server(own, started) {
          started();
          await flush();
          own.throwIfCancelled();
        });
        let failures = 2;
        const stubborn = (): void => {
          if (failures-- > 0) throw boom;
        };
        await supervise(scope, stubborn, { minDelay: 0, maxDelay: 0 });
        await close(selfCleaning(() => ({}), { name: "cache" }));
        const inner = createScope(scope, { name: "handle" });
        spawn(inner, untilCancelled, { daemon: true });
        await inner.join();
      });
    } finally {
      ledger.stop();
    }
    expect(ledger.breaches).toEqual([]);
    expect(ledger.open.size).toBe(0);
    expect(ledger.takeOpened()).toEqual(
      expect.arrayContaining([
        "all",
        "race",
        "shielded",
        "server",
        "start",
        "stubborn",
        "#3",
        "cache",
        "handle",
      ]),
    );
  });

  it("say which function has made a scope, at its start and at its end", async () => {
    await withScope({ name: "withScope" }, async (scope) => {
      await all(scope, [() => 1]);
      await allSettled(scope, [() => 1]);
      await any(scope, [() => 1]);
      await race(scope, [() => 1]);
      await map(scope, [1], () => 1);
      for await (const one of stream(scope, [1], () => 1)) expect(one).toBe(1);
      await retry(scope, function attempt() {});
      await shield(scope, { timeout: 1_000 }, function shield() {});
      await start(scope, async (_, started) => started());
      await createScope(scope, { name: "createScope" }).close();
      await close(selfCleaning(() => ({}), { name: "selfCleaning" }));
    });
    const scopes = heard.filter(({ on }) => on.startsWith("scope:") && on !== "scope:cancel");
    for (const { message } of scopes)
      expect(message["kind"]).toBe(message.scope.name === "items" ? "stream" : message.scope.name);
    expect(new Set(scopes.map(({ message }) => message["kind"])).size).toBe(13);
  });

  it("report stuck tasks, however they were found", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
    const gate = deferred();
    const reported: unknown[] = [];
    const scope = createScope({ name: "root", grace: 50, onError: (error) => reported.push(error) });
    spawn(scope, function deaf() {
      return gate.promise;
    });
    scope.cancel();
    vi.advanceTimersByTime(50);
    const closing = rejection(scope.close({ grace: 10 }));
    vi.advanceTimersByTime(10);
    vi.useRealTimers();
    const stuck = heard
      .filter(({ on }) => on === "stuck")
      .map(({ message }) => message as unknown as StuckMessage);
    expect(stuck.map(({ scope: { path }, tasks }) => [path, tasks.map((task) => task.path)])).toEqual([
      ["root", ["root/deaf"]],
      ["root", ["root/deaf"]],
    ]);
    for (const error of [reported[0], await closing]) expect(error).toBeInstanceOf(StuckTasksError);
    gate.resolve();
    await flush();
    expect(scope.state).toBe("closed");
  });

  it("report orphans, and keep no handle alive", async () => {
    (() => createScope({ name: "dropped", onOrphan: "ignore" }))();
    (() => spawn(createScope({ name: "busy", onOrphan: "ignore" }), untilCancelled))();
    await collectGarbage();
    expect(
      log()
        .filter((line) => line.startsWith("orphan"))
        .toSorted(),
    ).toEqual(["orphan busy", "orphan dropped"]);
    const message = heard.find(
      ({ on, message: { scope } }) => on === "orphan" && scope.name === "busy",
    )?.message;
    expect(message as unknown as OrphanMessage).toMatchObject({ orphan: { path: "busy", liveTasks: 1 } });
    expect(message?.scope.reason?.kind).toBe("orphaned");
  });
});

describe("a subscriber", () => {
  it("that throws is an uncaught exception, and disturbs nothing", async () => {
    const others = process.listeners("uncaughtException");
    const uncaught: unknown[] = [];
    process.removeAllListeners("uncaughtException").on("uncaughtException", (error) => uncaught.push(error));
    try {
      for (const name of names)
        hear(name, () => {
          throw boom;
        });
      const scope = createScope();
      const task = spawn(scope, untilCancelled);
      scope.cancel();
      expect(await rejection(task)).toBe(scope.reason);
      await scope.close();
      await flush();
    } finally {
      process.removeAllListeners("uncaughtException");
      for (const listener of others) process.on("uncaughtException", listener);
    }
    expect(uncaught).toEqual(Array.from({ length: 5 }, () => boom));
  });

  it.each(names.slice(0, 5))("may cancel the published scope, on %s", async (name) => {
    hear(name, ({ scope, parent }) => {
      scope.cancel();
      (parent as Scope | undefined)?.cancel();
    });
    const root = createScope();
    const outcome = withScope(root, async (scope) => {
      const task = spawn(scope, untilCancelled);
      setImmediate(() => task.cancel());
      return Promise.allSettled([task, spawn(scope, () => 1)]);
    });
    await Promise.allSettled([outcome]);
    await root.close();
    expect(root.state).toBe("closed");
    const ends = heard.filter(({ on }) => on === "scope:close" || on === "task:settle");
    const begins = heard.filter(({ on }) => on === "scope:open" || on === "task:start");
    expect(new Set(ends.map(({ message }) => message.scope))).toEqual(
      new Set(begins.map(({ message }) => message.scope)),
    );
    expect(ends.length).toBe(begins.length);
  });

  it("may spawn in the scope of the message", async () => {
    let spawned = 0;
    hear("scope:open", ({ scope }) => void spawn(scope, () => (spawned += 1)));
    hear("scope:close", ({ scope }) => {
      expect(() => spawn(scope, () => 1)).toThrow(expect.objectContaining({ code: "BOUGH_SCOPE_CLOSED" }));
    });
    await withScope(async () => undefined);
    expect(spawned).toBe(1);
  });
});

/** As if nobody had ever subscribed. */
async function load(): Promise<typeof Bough> {
  vi.resetModules();
  return import("../index.js");
}

describe("a store that is bound to a channel", () => {
  const path = new AsyncLocalStorage<string>();
  const ofScope = (message: unknown): string => (message as Message).scope.path;

  beforeEach(() => {
    for (const stop of stops.splice(0)) stop(); // a store is enough
  });

  function bind(name: string, transform: (message: unknown) => string = ofScope): void {
    channel(`bough:${name}`).bindStore(path, transform);
    stops.push(() => channel(`bough:${name}`).unbindStore(path));
  }

  it("has its value only in the worker, and across its awaits", async () => {
    const fresh = await load();
    bind("task:start");
    const seen: unknown[] = [];
    await path.run("caller", async () => {
      await fresh.withScope({ name: "root" }, async (scope) => {
        const task = fresh.spawn(scope, async function worker(own) {
          seen.push(path.getStore());
          own.defer(() => seen.push(path.getStore()));
          await flush();
          seen.push(path.getStore());
          fresh.spawn(own, function inner() {
            seen.push(path.getStore());
          });
        });
        expect(path.getStore()).toBe("caller");
        await task;
        expect(path.getStore()).toBe("caller");
      });
    });
    expect(seen).toEqual(["root/worker", "root/worker", "root/worker/inner", "root/worker"]);
  });

  it("has its value in a body, in a queued worker once it starts, and in each member", async () => {
    bind("task:start");
    bind("scope:open");
    const seen: unknown[] = [];
    const look = async (): Promise<void> => {
      seen.push(path.getStore());
      await flush();
      seen.push(path.getStore());
    };
    await withScope({ name: "root", concurrency: 1 }, async (scope) => {
      seen.push(path.getStore());
      spawn(scope, async () => flush());
      spawn(scope, look, { name: "queued" });
    });
    await withScope({ name: "root" }, (scope) => all(scope, [look]));
    await close(selfCleaning(() => (seen.push(path.getStore()), {}), { name: "cache" }));
    const queued = "root/queued";
    expect(seen).toEqual(["root", queued, queued, "root/all/look", "root/all/look", "cache"]);
  });

  it("fails a task with the error that its worker throws, the same object", async () => {
    bind("task:start");
    const failed = withScope((scope) =>
      spawn(scope, () => {
        throw boom;
      }),
    );
    expect(await rejection(failed)).toBe(boom);
  });

  it("leaves the channel unchanged, and has no effect once it is unbound", async () => {
    const copies = [await load(), await load()];
    bind("task:start");
    expect(Object.hasOwn(channel("bough:task:start"), "bindStore")).toBe(false);
    const seen: unknown[] = [];
    const look = (): unknown => seen.push(path.getStore());
    for (const copy of copies) await copy.withScope((scope) => copy.spawn(scope, look, { name: "task" }));
    for (const stop of stops.splice(0)) stop();
    for (const copy of copies) await copy.withScope((scope) => copy.spawn(scope, look, { name: "task" }));
    expect(seen).toEqual(["anonymous/task", "anonymous/task", undefined, undefined]);
  });

  it("is found if it was bound before the package was loaded", async () => {
    bind("task:start");
    const fresh = await load();
    const name = await fresh.withScope({ name: "root" }, (scope) =>
      fresh.spawn(scope, () => path.getStore(), { name: "task" }),
    );
    expect(name).toBe("root/task");
  });

  it("has no value where the runtime has no runStores, and the worker runs all the same", async () => {
    const fresh = await load();
    bind("task:start");
    const prototype = Object.getPrototypeOf(channel("bough:task:start")) as { runStores?: unknown };
    const { runStores } = prototype;
    prototype.runStores = undefined;
    try {
      expect(await fresh.withScope((scope) => fresh.spawn(scope, () => path.getStore()))).toBe(undefined);
    } finally {
      prototype.runStores = runStores;
    }
  });
});

describe("two copies of the package", () => {
  it("notice the first subscriber, and leave the channels as they were", async () => {
    for (const stop of stops.splice(0)) stop();
    const copies = [await load(), await load()];
    const started: string[] = [];
    hear("task:start", ({ scope }) => started.push(scope.path));
    for (const [index, copy] of copies.entries())
      await copy.withScope({ name: `copy ${index}` }, (scope) => copy.spawn(scope, function worker() {}));
    expect(started).toEqual(["copy 0/worker", "copy 1/worker"]);
    expect(Object.hasOwn(channel("bough:task:start"), "subscribe")).toBe(false);
  });

  it("read hasSubscribers each time if the channel's methods can't be replaced", async () => {
    const messages: unknown[] = [];
    let isLoaded = false;
    const frozen = Object.freeze({
      get hasSubscribers() {
        return isLoaded;
      },
      publish: (message: unknown) => messages.push(message),
    });
    vi.stubGlobal("process", { getBuiltinModule: () => ({ channel: () => frozen }) });
    const fresh = await load().finally(() => vi.unstubAllGlobals());
    isLoaded = true;
    await fresh.withScope(() => 1);
    expect(messages.length).toBe(2);
  });

  it("notify a subscriber that subscribed before they were loaded", async () => {
    const { withScope: enter } = await load();
    await enter({ name: "root" }, () => 1);
    expect(log()).toEqual(["scope:open root", "scope:close root"]);
  });
});

describe("a message", () => {
  it("does not compute the path before a subscriber reads it", async () => {
    let paths = 0;
    await withScope({ name: "root" }, async (scope) => {
      const prototype = Object.getPrototypeOf(scope) as object;
      const spy = vi.spyOn(prototype as { path: string }, "path", "get").mockImplementation(() => {
        paths += 1;
        return "counted";
      });
      try {
        await spawn(scope, async function job() {});
      } finally {
        spy.mockRestore();
      }
    });
    expect(paths).toBe(0);
    const [, started] = heard.map(({ message }) => message);
    expect(started).toHaveProperty("task.path", "root/job");
  });

  it("has the status at the time of the event, also when it is read later", async () => {
    await withScope({ name: "root" }, (scope) => spawn(scope, function job() {}));
    const statusOn = (name: string): unknown => messageOn<TaskSettleMessage>(name).task.status;
    expect(statusOn("task:start")).toBe("running");
    expect(statusOn("task:settle")).toBe("succeeded");
  });

  it("has the age at the first read, and keeps it", async () => {
    vi.useFakeTimers();
    const scope = createScope({ name: "root" });
    const task = spawn(scope, (own) => sleep(own, 30));
    await vi.advanceTimersByTimeAsync(30);
    await task;
    await scope.close();
    const settled = messageOn<TaskSettleMessage>("task:settle");
    const closed = messageOn<ScopeCloseMessage>("scope:close");
    expect([settled.task.age, closed.age]).toEqual([30, 30]);
    vi.advanceTimersByTime(100);
    expect([settled.task.age, closed.age]).toEqual([30, 30]);
    expect(messageOn<TaskStartMessage>("task:start").task.age).toBe(130);
  });

  it("is fully serialized by JSON.stringify", async () => {
    await withScope({ name: "root" }, (scope) => spawn(scope, function job() {}));
    const written = heard.map(({ message }) => JSON.parse(JSON.stringify(message)) as Message);
    expect(written).toMatchObject([
      { kind: "withScope" },
      { task: { path: "root/job", status: "running" } },
      { task: { path: "root/job", status: "succeeded", age: expect.any(Number) as number } },
      { kind: "withScope", status: "succeeded", age: expect.any(Number) as number },
    ]);
  });
});

describe("without subscribers", () => {
  it("a copy of the package notices when the last subscriber leaves, and when the next one comes", async () => {
    for (const stop of stops.splice(0)) stop();
    const fresh = await load();
    const start = channel("bough:task:start");
    const run = (count: number): Promise<void> =>
      fresh.withScope((scope) => {
        for (let index = 0; index < count; index++) fresh.spawn(scope, function worker() {});
      });
    for (let round = 0; round < 3; round++) {
      const started: string[] = [];
      hear("task:start", ({ scope }) => started.push(scope.path));
      expect(Object.hasOwn(start, "subscribe")).toBe(false);
      await run(2);
      expect(started).toHaveLength(2);
      for (const stop of stops.splice(0)) stop();
      await run(100);
      expect(Object.hasOwn(start, "subscribe")).toBe(true); // waits for the next one, and asks the channels no more
      expect(started).toHaveLength(2);
    }
  });

  it("a scope creates no message", async () => {
    for (const stop of stops.splice(0)) stop();
    for (const name of names) expect(channel(`bough:${name}`).hasSubscribers).toBe(false);
    await withScope(async (scope) => spawn(scope, () => 1));
    expect(heard).toEqual([]);
  });

  it.each([undefined, {}, { getBuiltinModule: () => undefined }, { getBuiltinModule: () => ({}) }])(
    "bough works where node:diagnostics_channel does not exist: process is %o",
    async (host) => {
      vi.resetModules();
      vi.stubGlobal("process", host);
      let fresh: typeof Bough;
      try {
        fresh = await import("../index.js");
      } finally {
        vi.unstubAllGlobals();
      }
      expect(await fresh.withScope((scope) => fresh.spawn(scope, () => 1))).toBe(1);
      expect(heard).toEqual([]);
    },
  );
});
