import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { background } from "../task/background.js";
import { stream } from "../flow/combinators/stream.js";
import { createScope } from "../task/create-scope.js";
import { spawn } from "../task/spawn.js";
import { withScope } from "../task/with-scope.js";
import { untilCancelled } from "../../test/support/until-cancelled.js";
import { formatTree, setTracing, snapshot, type Snapshot } from "./index.js";
import { openScope } from "../../test/support/open-scope.js";

const never = (): Promise<never> => new Promise(() => {});

/** A snapshot by its paths: `server/heartbeat`. */
function find(tree: Snapshot, path: string): Snapshot {
  const todo = [tree];
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    if (at.path === path) return at;
    todo.push(...at.children);
  }
  throw new Error(`no ${path} in the snapshot`);
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("snapshot()", () => {
  it("rule 26: has the kind handle for a scope with an owner handle, and not for the scope of a stream", async () => {
    const scope = createScope();
    createScope(scope, { name: "inner" });
    const results = stream(scope, [1], (_, own) => untilCancelled(own));
    const next = results.next().catch(() => undefined);
    expect(snapshot(scope).children.map(({ name, kind }) => `${name}: ${kind}`)).toEqual([
      "inner: handle",
      "stream: scope",
    ]);
    await scope.close();
    await next;
  });

  it("rule 26: has path, kind, state, status, age, deadline and counts of everything alive", () => {
    const start = Date.now();
    const server = openScope("server", { timeout: 5_000, concurrency: 1 });
    server.defer(() => {});
    createScope(server, { name: "pool", onOrphan: "ignore" });
    spawn(
      server,
      async function first(task) {
        spawn(task, async function inner() {
          await new Promise<void>((resolve) => void task.onCancel(() => resolve()));
        });
      },
      { daemon: true },
    );
    spawn(server, async function second() {});
    vi.advanceTimersByTime(1_500);

    const tree = snapshot(server);
    expect(tree).toMatchObject({ name: "server", path: "server", kind: "handle", state: "open" });
    expect(tree).toMatchObject({ age: 1_500, deadline: start + 5_000, waitingForCleanup: false });
    expect(tree.counts).toEqual({ children: 3, tasks: 3, queued: 1, cleanups: 1, waiters: 0, failures: 0 });
    expect(tree.children.map(({ path, kind, status }) => [path, kind, status])).toEqual([
      ["server/pool", "handle", undefined],
      ["server/first", "task", "running"],
      ["server/second", "task", "queued"],
    ]);
    expect(find(tree, "server/first")).toMatchObject({ daemon: true, counts: { children: 1, tasks: 1 } });
    expect(find(tree, "server/first/inner")).toMatchObject({
      kind: "task",
      deadline: start + 5_000,
      children: [],
    });
  });

  it("is plain data: it survives JSON", async () => {
    const scope = openScope("plain", { timeout: 1_000 });
    spawn(scope, never);
    const tree = snapshot(scope);
    expect(JSON.parse(JSON.stringify(tree))).toEqual(tree);
    scope.cancel(new RangeError("enough"));
    expect(JSON.parse(JSON.stringify(snapshot(scope)))).toEqual(snapshot(scope));
  });

  it("shows why a scope was cancelled, on every scope that it reached", () => {
    const scope = openScope("jobs");
    spawn(scope, never, { name: "job" });
    scope.cancel(new RangeError("enough"));
    const tree = snapshot(scope);
    expect(tree.reason).toEqual({
      kind: "explicit",
      scope: "jobs",
      message: scope.reason?.message,
      cause: "RangeError: enough",
      at: Date.now(),
    });
    expect(find(tree, "jobs/job").reason).toEqual(tree.reason);
  });

  it.each([
    [
      "a getter",
      Object.defineProperty(new Error("enough"), "message", {
        get: () => {
          throw new Error("not that");
        },
      }),
      "an instance of Error",
    ],
    ["no text", Object.assign(new Error("enough"), { message: Symbol("enough") }), "an instance of Error"],
  ])("describes a cause that has %s", (_, cause, words) => {
    const scope = openScope("anonymous");
    scope.cancel(cause);
    expect(snapshot(scope).reason?.cause).toBe(words);
  });

  it("rule 5: marks the scopes that keep a cancelled tree from ending, and those that wait for them", async () => {
    const scope = openScope("stuck");
    let end = (): void => {};
    spawn(scope, () => new Promise<void>((resolve) => (end = resolve)), { name: "stubborn" });
    const closed = scope.close();
    expect(snapshot(scope)).toMatchObject({
      state: "cancelling",
      waitingForCleanup: false,
      counts: { waiters: 1 },
    });
    expect(find(snapshot(scope), "stuck/stubborn").waitingForCleanup).toBe(true);
    end();
    await closed;
    expect(snapshot(scope)).toMatchObject({ state: "closed", waitingForCleanup: false, children: [] });
  });

  it("marks a scope whose cleanups run", async () => {
    const scope = openScope("cleaning");
    let end = (): void => {};
    scope.defer(() => new Promise<void>((resolve) => (end = resolve)));
    expect(snapshot(scope)).toMatchObject({ waitingForCleanup: false, counts: { cleanups: 1 } });
    const closed = scope.close();
    expect(snapshot(scope)).toMatchObject({ waitingForCleanup: true, counts: { cleanups: 0 } });
    await vi.advanceTimersByTimeAsync(0);
    end();
    await closed;
  });

  it("counts failures", async () => {
    const scope = openScope("failing", { supervise: true });
    spawn(scope, () => {
      throw new Error("one");
    }).catch(() => {});
    const failing = createScope(scope, { name: "failed" });
    spawn(failing, never);
    spawn(failing, () => {
      throw new Error("two");
    });
    expect(find(snapshot(scope), "failing/failed").counts.failures).toBe(1);
    failing.close().catch(() => {});
  });

  it("begins at the background without a scope, and sees every root", async () => {
    const root = openScope("a root of this test");
    const tree = snapshot();
    expect(tree).toMatchObject({ kind: "background", path: "", name: background.name });
    expect(tree.children.map(({ path }) => path)).toContain("a root of this test");
    await root.close();
    expect(snapshot().children.map(({ path }) => path)).not.toContain("a root of this test");
  });

  it("has kind scope for withScope", async () => {
    await withScope({ name: "body" }, (scope) => {
      expect(snapshot(scope)).toMatchObject({ kind: "scope", name: "body" });
    });
  });

  it("rule 26: has the spawn site where it was recorded, and only there", () => {
    const scope = openScope("untraced");
    const before = setTracing(true);
    onTestFinished(() => void setTracing(before));
    spawn(scope, never, { name: "traced" });
    const tree = snapshot(scope);
    expect(tree).not.toHaveProperty("spawnedAt");
    expect(find(tree, "untraced/traced").spawnedAt).toContain("snapshot.test.ts");
    expect(setTracing(before)).toBe(true);
  });

  it("changes nothing: a signal that was not read is not made", () => {
    const scope = openScope("quiet");
    const task = spawn(scope, never);
    expect(snapshot(scope)).toEqual(snapshot(scope));
    expect(task.status).toBe("running");
    expect(scope.state).toBe("open");
  });

  it("throws when scope is not a scope", () => {
    // @ts-expect-error: a wrong argument
    expect(() => snapshot({})).toThrow(TypeError);
  });

  it("rule 18: works for 100,000 levels, and so does formatTree()", () => {
    const root = openScope("deep", { timeout: 60_000, onOrphan: "ignore" });
    let scope = root;
    for (let level = 0; level < 100_000; level++)
      scope = createScope(scope, { name: "x", onOrphan: "ignore" });
    const tree = snapshot(root);
    let depth = 0;
    for (let at: Snapshot | undefined = tree; at !== undefined; at = at.children[0]) depth += 1;
    expect(depth).toBe(100_001);
    expect(formatTree(tree).split("\n").length).toBe(100_001);
  }, 60_000);
});
