import { afterEach, describe, expect, it, vi } from "vitest";
import { deferred, outcomeOf, rejection, thrown } from "../../../test/support/deferred.js";
import { untilCancelled } from "../../../test/support/until-cancelled.js";
import {
  createContextKey,
  createScope,
  DeadlineExceededError,
  detach,
  ScopeClosedError,
  spawn,
  type Scope,
} from "../../index.js";
import "../../effection/index.js";

afterEach(() => {
  vi.useRealTimers();
});

describe("detach()", () => {
  it("starts a task of the target: it outlives the scope that called detach(), and ends with the target", async () => {
    const [request, server] = [createScope(), createScope({ name: "server" })];
    const task = detach(request, server, async function audit(own) {
      await untilCancelled(own);
    });
    expect(task.path).toBe("server/audit");
    await request.close();
    expect(task.status).toBe("running");
    server.cancel();
    expect(await rejection(task)).toBe(server.reason);
  });

  it("can be called with a scope that is cancelled or closed", async () => {
    const [request, server] = [createScope(), createScope()];
    await request.close();
    expect(await detach(request, server, () => "done")).toBe("done");
    await server.close();
  });

  it("makes the target wait for the task, and not the scope that called it", async () => {
    const [request, server] = [createScope(), createScope()];
    const gate = deferred();
    detach(request, server, () => gate.promise);
    await request.join();
    const joined = server.join();
    expect(await outcomeOf(joined)).toBe("pending");
    gate.resolve();
    await joined;
  });

  it("rule 22: has the context values of the calling scope, and otherwise those of the target", async () => {
    const [a, b, c] = [
      createContextKey<string>("a"),
      createContextKey<string>("b"),
      createContextKey<string>("c"),
    ];
    const [outer, server] = [createScope(), createScope()];
    outer.set(a, "outer a");
    outer.set(b, "outer b");
    const request = createScope(outer);
    request.set(b, "request b");
    server.set(b, "server b");
    server.set(c, "server c");
    const seen = await detach(request, server, (own) => [own.get(a), own.get(b), own.get(c)]);
    expect(seen).toEqual(["outer a", "request b", "server c"]);
    expect(server.get(b)).toBe("server b");
    await outer.close();
    await server.close();
  });

  it("rule 22: has the context values at the time of the call, also if it starts later", async () => {
    const key = createContextKey<string>("key");
    const [request, server] = [createScope(), createScope({ concurrency: 1 })];
    const gate = deferred();
    spawn(server, () => gate.promise);
    request.set(key, "then");
    const task = detach(request, server, (own) => own.get(key));
    request.set(key, "later");
    await request.close();
    gate.resolve();
    expect(await task).toBe("then");
    await server.close();
  });

  it("drops the deadline of its scope, or keeps it with keepDeadline", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
    const [request, server] = [createScope({ timeout: 100 }), createScope({ supervise: true })];
    const free = detach(request, server, (own) => own.deadline);
    expect(await free).toBeUndefined();
    const bound = detach(request, server, untilCancelled, { keepDeadline: true, name: "bound" });
    expect(bound.name).toBe("bound");
    vi.advanceTimersByTime(100);
    expect(await rejection(bound)).toBeInstanceOf(DeadlineExceededError);
    expect(bound.status).toBe("failed");
    await server.close();
  });

  it("makes a failure of the worker a failure of the target", async () => {
    const [request, server] = [createScope(), createScope()];
    const failure = new Error("audit");
    detach(request, server, () => Promise.reject(failure));
    expect(await rejection(server.join())).toBe(failure);
    expect(request.cancelled).toBe(false);
    await request.close();
  });

  it("runs generator functions, and starts nothing in a target that has ended or is cancelled", async () => {
    const [request, server] = [createScope(), createScope()];
    // oxlint-disable-next-line require-yield -- an operation need not wait for anything
    const operation = detach(request, server, function* () {
      return 7;
    });
    expect(await operation).toBe(7);
    await server.close();
    expect(thrown(() => detach(request, server, () => 1))).toBeInstanceOf(ScopeClosedError);
    const cancelled = createScope();
    cancelled.cancel();
    let called = false;
    expect(await rejection(detach(request, cancelled, () => (called = true)))).toBe(cancelled.reason);
    expect(called).toBe(false);
    await request.close();
  });

  it.each([
    ["no scope", () => detach({} as Scope, {} as Scope, () => 1)],
    ["no target", () => detach(createScope({ onOrphan: "ignore" }), {} as Scope, () => 1)],
    [
      "no function",
      () => detach(createScope({ onOrphan: "ignore" }), createScope({ onOrphan: "ignore" }), 1 as never),
    ],
  ])("throws for %s", (_, call) => {
    expect(thrown(call)).toBeInstanceOf(TypeError);
  });

  it("takes the options of spawn, and of two deadlines the earlier", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
    try {
      const request = createScope({ timeout: 100 });
      const server = createScope({ name: "server", supervise: true });
      const controller = new AbortController();
      const { deadline } = request;
      const signalled = detach(request, server, untilCancelled, { signal: controller.signal, name: "audit" });
      expect(signalled.path).toBe("server/audit");
      controller.abort("stop");
      expect(await rejection(signalled)).toMatchObject({ kind: "signal", cause: "stop" });
      const timeouts = [50, 100, 200].map((ms) =>
        rejection(detach(request, server, untilCancelled, { timeout: ms, keepDeadline: true })),
      );
      const dated = detach(request, server, untilCancelled, {
        deadline: Date.now() + 70,
        keepDeadline: true,
      });
      const dates = rejection(dated);
      await vi.advanceTimersByTimeAsync(100);
      const instants = (await Promise.all([...timeouts, dates])).map(
        (reason) => (reason as DeadlineExceededError).deadline,
      );
      expect(instants.map((instant) => instant - (deadline as number))).toEqual([-50, 0, 0, -30]);
      await Promise.all([request.close(), server.close()]);
    } finally {
      vi.useRealTimers();
    }
  });
});
