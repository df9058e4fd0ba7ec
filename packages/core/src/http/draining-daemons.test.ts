import http from "node:http";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  all,
  createChannel,
  createScope,
  createSemaphore,
  race,
  retry,
  select,
  sending,
  sleep,
  spawn,
  stream,
  ticker,
  withScope,
  type Channel,
  type Scope,
} from "../index.js";
import { MainView } from "../process/main-scope.js";
import { ShutdownAnnouncement } from "../process/shutdown-notice.js";
import { nodeOf } from "../task/node-of.js";
import { deferred, flush } from "../../test/support/deferred.js";
import { consume, setUp } from "../../test/support/draining.js";
import { untilCancelled } from "../../test/support/until-cancelled.js";
import { serverScope, type ServerScope } from "./index.js";

async function backlog(scope: Scope, count = 100): Promise<Channel<number>> {
  const queue = createChannel<number>(count);
  for (let value = 0; value < count; value++) await queue.send(scope, value);
  return queue;
}

afterEach(() => {
  vi.useRealTimers();
});

describe("rule 32: once draining, a daemon receives no new work", () => {
  it.each<[string, (queue: Channel<number>, own: Scope) => Promise<unknown>]>([
    ["receive()", (queue, own) => queue.receive(own)],
    ["values()", async (queue, own) => (await queue.values(own).next()).value],
    ["select()", async (queue, own) => (await select(own, { queue })).value],
    ["receive() in a withScope()", (queue, own) => withScope(own, (inner) => queue.receive(inner))],
    [
      "receive() in a race()",
      (queue, own) => race(own, [(task) => queue.receive(task), (task) => untilCancelled(task)]),
    ],
    ["receive() in all()", (queue, own) => all(own, [(task) => queue.receive(task)])],
    ["receive() in a retry()", (queue, own) => retry(own, (attempt) => queue.receive(attempt))],
    ["receive() in a task of its own", async (queue, own) => spawn(own, (task) => queue.receive(task))],
    [
      "stream() over values()",
      async (queue, own) => {
        for await (const item of stream(own, queue.values(own), (value) => value)) return item;
        return undefined;
      },
    ],
  ])("of a backlog, by %s", async (_, take) => {
    const { scope, finish, taken, drain } = setUp();
    const queue = await backlog(scope);
    const next = consume(scope, taken, (own) => take(queue, own));
    await flush();
    await next();
    const before = taken.length;
    expect(before).toBeGreaterThan(0);
    const report = drain();
    await next();
    await next();
    expect(taken.length).toBe(before);
    finish();
    await report;
    expect(taken.length).toBe(before);
  });

  it("from a source outside of the scope or from another daemon, while it waits and later", async () => {
    const { scope, finish, taken, drain } = setUp();
    const feed = createScope({ onOrphan: "ignore" });
    const queue = createChannel<string>(10);
    const next = consume(scope, taken, (own) => queue.receive(own));
    const go = deferred();
    spawn(
      scope,
      async (producer) => {
        await go.promise;
        await queue.send(producer, "of a daemon");
      },
      { daemon: true },
    );
    const report = drain(); // the consumer waits for a value
    await queue.send(feed, "of another tree");
    go.resolve();
    await flush();
    await next();
    expect(taken).toEqual([]);
    expect(queue.tryReceive()).toMatchObject({ value: "of another tree" }); // nothing was lost
    expect(queue.tryReceive()).toMatchObject({ value: "of a daemon" });
    finish();
    await report;
    await feed.close();
  });

  it("by acquire(), whether a permit is free now or later", async () => {
    for (const free of [true, false]) {
      const { scope, job, finish, taken, drain } = setUp();
      const permits = createSemaphore(1);
      const permit = await permits.acquire(job);
      const next = consume(scope, taken, (own) => permits.acquire(own));
      if (free) {
        permit[Symbol.dispose]();
        await flush();
        (taken[0] as Disposable)[Symbol.dispose]();
      }
      const before = taken.length;
      const report = drain();
      if (!free) permit[Symbol.dispose]();
      await next();
      await next();
      expect(taken.length).toBe(before);
      await permits.acquire(job); // running work gets it
      finish();
      await report;
    }
  });

  it("in the scope of main() while it drains", async () => {
    const main = createScope({ onOrphan: "ignore" });
    const draining = new ShutdownAnnouncement(nodeOf("main", "scope", main));
    const view = new MainView(nodeOf("main", "scope", main), draining);
    const queue = await backlog(view);
    const taken: unknown[] = [];
    const next = consume(view, taken, (own) => queue.receive(own));
    await flush();
    expect(taken).toEqual([0]);
    draining.begin();
    await next();
    expect(taken).toEqual([0]);
    await main.close();
  });
});

describe("rule 32: once draining, a daemon continues to serve running work", () => {
  it.each([
    ["a buffered channel", 4],
    ["a channel without a buffer", 0],
  ])(
    "receives the values that a request, a job, and a task of another daemon send over %s",
    async (_, capacity) => {
      const { scope, job, finish, taken, drain } = setUp();
      const lines = createChannel<string>(capacity);
      const next = consume(scope, taken, (own) => lines.receive(own));
      const request = requestScopeOf(scope);
      let child!: Scope;
      spawn(
        scope,
        (own) =>
          spawn(own, (task) => {
            child = task;
            return untilCancelled(task);
          }),
        { daemon: true },
      );
      const report = drain();
      const sent = [lines.send(request, "request"), lines.send(job, "job"), lines.send(child, "of a daemon")];
      for (let step = 0; step < 4; step++) await next();
      expect(taken).toEqual(["request", "job", "of a daemon"]);
      await Promise.all(sent);
      request.cancel();
      finish();
      await report;
    },
  );

  it("receives the values in front of such a value, in order, and no more", async () => {
    const { scope, job, finish, taken, drain } = setUp();
    const queue = await backlog(scope, 3);
    const report = drain();
    const next = consume(scope, taken, (own) => queue.receive(own));
    const sent = queue.send(job, 99); // waits for room
    await queue.receive(job);
    const feed = createScope({ onOrphan: "ignore" });
    const later = queue.send(feed, 100);
    for (let step = 0; step < 6; step++) await next();
    await sent;
    expect(taken).toEqual([0, 2, 99]); // the job has taken 1
    finish();
    await report;
    await later;
    await feed.close();
  });

  it("receives the values that running work sent before, and the values that its scope sends from then on", async () => {
    const { scope, job, finish, taken, drain } = setUp();
    const questions = createChannel<string>(4);
    await questions.send(job, "asked before");
    const report = drain();
    const next = consume(scope, taken, (own) => questions.receive(own));
    await flush();
    await next();
    expect(taken).toEqual(["asked before"]);
    await questions.send(scope, "a log line");
    await next();
    expect(taken).toEqual(["asked before", "a log line"]);
    finish();
    await report;
  });

  it("gets a permit for a value that it has received", async () => {
    const { scope, job, finish, taken, drain } = setUp();
    const queue = createChannel<number>(4);
    const permits = createSemaphore(1);
    const busy = await permits.acquire(job);
    await queue.send(job, 1);
    consume(scope, taken, async (own) => {
      const value = await queue.receive(own);
      (await permits.acquire(own))[Symbol.dispose]();
      return value;
    });
    await flush();
    const report = drain();
    busy[Symbol.dispose]();
    await flush();
    expect(taken).toEqual([1]);
    finish();
    await report;
  });

  it("a closed channel is delivered to its end", async () => {
    const { scope, finish, drain } = setUp();
    const queue = await backlog(scope, 3);
    scope.onShutdown(() => queue.close());
    const taken: number[] = [];
    const go = deferred();
    const consumer = spawn(
      scope,
      async (own) => {
        for await (const value of queue.values(own)) {
          taken.push(value);
          await go.promise;
        }
        return "ended";
      },
      { daemon: true },
    );
    const report = drain();
    go.resolve();
    expect(await consumer).toBe("ended");
    expect(taken).toEqual([0, 1, 2]);
    finish();
    await report;
  });

  it("its sleeps, tickers and time limits continue, as a heartbeat needs", async () => {
    vi.useFakeTimers();
    const { scope, finish, taken, drain } = setUp();
    const beat = (name: string, wait: (own: Scope) => Promise<unknown>): void => {
      const worker = async (own: Scope): Promise<never> => {
        for (;;) {
          await wait(own);
          taken.push(name);
        }
      };
      spawn(scope, worker, { daemon: true });
    };
    const quiet = createChannel();
    beat("sleep", (own) => sleep(own, 10));
    beat("limit", (own) => select(own, { quiet, limit: 10 }));
    spawn(
      scope,
      async (own) => {
        for await (const _ of ticker(own, 10)) taken.push("tick");
      },
      { daemon: true },
    );
    const report = drain();
    await vi.advanceTimersByTimeAsync(25);
    expect([...taken].toSorted()).toEqual(["limit", "limit", "sleep", "sleep", "tick", "tick"]);
    vi.useRealTimers();
    finish();
    await report;
  });

  it("a task that is not a daemon receives and acquires as before, and so does a daemon of a request", async () => {
    const { scope, job, finish, drain } = setUp();
    const queue = await backlog(scope, 4);
    const permits = createSemaphore(2);
    const request = requestScopeOf(scope);
    const report = drain();
    expect(await queue.receive(job)).toBe(0);
    const inner = spawn(
      request,
      async (own) => {
        using _ = await permits.acquire(own);
        return await queue.receive(own);
      },
      { daemon: true },
    );
    expect(await inner).toBe(1);
    expect((await select(job, { queue, full: sending(createChannel(), 1) })).value).toBe(2);
    request.cancel();
    finish();
    await report;
  });

  it("a job that a daemon has spawned acquires as before", async () => {
    const { scope, finish, drain } = setUp();
    const permits = createSemaphore(1);
    const go = deferred();
    let done!: Promise<string>;
    spawn(
      scope,
      (own) => {
        done = Promise.resolve(
          spawn(own, async (task) => {
            await go.promise;
            (await permits.acquire(task))[Symbol.dispose]();
            return "done";
          }),
        );
        return untilCancelled(own);
      },
      { daemon: true },
    );
    const report = drain();
    go.resolve();
    expect(await done).toBe("done");
    finish();
    await report;
  });
});

it("rule 32: a daemon that waits for new work when the shutdown begins is stopped last, and is not stuck", async () => {
  const scope = serverScope(http.createServer());
  const queue = await backlog(scope);
  const consumer = spawn(
    scope,
    async (own) => {
      for (;;) await queue.receive(own).then(() => flush());
    },
    { daemon: true },
  );
  await flush();
  const report = await scope.shutdown({ grace: 60_000 });
  expect(report.stuck).toEqual([]);
  expect(consumer.status).toBe("cancelled");
});

/** The scope of a request of the server of `scope`, which nobody answers. */
function requestScopeOf(scope: ServerScope): Scope {
  return createScope(scope, { name: "request", onOrphan: "ignore" });
}
