import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { createChannel } from "../flow/sync/channel.js";
import { createSemaphore } from "../flow/sync/semaphore.js";
import { checkpoint } from "../flow/time/checkpoint.js";
import { sleep } from "../flow/time/sleep.js";
import { requestScope, serverScope } from "../http/index.js";
import { createContextKey } from "../kernel/context-values.js";
import type { Scope } from "../kernel/scope.js";
import { close, selfCleaning } from "../resources/self-cleaning.js";
import { createScope } from "../task/create-scope.js";
import { spawn } from "../task/spawn.js";
import {
  diffNodes,
  flatten,
  formatTree,
  groupNodes,
  setTracing,
  snapshot,
  stringifyTree,
  waitLabel,
  type NodeInfo,
} from "./index.js";
import { fetchBough } from "../web/index.js";
import { openScope } from "../../test/support/open-scope.js";

const never = (): Promise<never> => new Promise(() => {});
const nodesOf = (scope: Scope): NodeInfo[] => flatten(snapshot(scope));
const named = (scope: Scope, name: string): NodeInfo => {
  const found = nodesOf(scope).find((node) => node.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
};

describe("the data of a scope in a snapshot", () => {
  it("has an id that is unique where names are not, and stays", () => {
    const root = openScope("root");
    for (let index = 0; index < 3; index++) spawn(root, never, { name: "same" });
    const ids = nodesOf(root).map(({ id }) => id);
    expect(new Set(ids).size).toBe(4);
    expect(nodesOf(root).map(({ id }) => id)).toEqual(ids);
    expect(nodesOf(root).slice(1)).toEqual(
      Array.from({ length: 3 }, () => expect.objectContaining({ parent: ids[0] })),
    );
  });

  it("has the time and the line of the cancellation", () => {
    const before = setTracing(true);
    onTestFinished(() => void setTracing(before));
    const root = openScope("root");
    spawn(root, never, { name: "job" });
    const start = Date.now();
    root.cancel("enough");
    const { reason } = named(root, "job");
    expect(reason?.by).toContain("data.test.ts");
    expect(reason?.at).toBeGreaterThanOrEqual(start);
    expect(root.reason?.at).toBe(reason?.at);
    expect(formatTree(snapshot(root))).toContain("cancelling (explicit, by ");
  });

  it.each([
    [
      "a scope",
      (scope: Scope) =>
        void spawn(scope, (task) => {
          task.cancel();
          return never();
        }),
    ],
    ["a task", (scope: Scope) => void spawn(scope, never, { name: "job" }).cancel()],
    [
      "a handle",
      (scope: Scope) => {
        const own = createScope(scope, { onOrphan: "ignore" });
        spawn(own, never);
        void own.close();
      },
    ],
    [
      "a selfCleaning() object",
      (scope: Scope) => {
        const own = selfCleaning(scope, (inner) => {
          spawn(inner, never);
          return {};
        });
        void close(own);
      },
    ],
  ])("names the line that cancelled %s", (_, cancel) => {
    const before = setTracing(true);
    onTestFinished(() => void setTracing(before));
    const root = openScope("root");
    const hold = spawn(root, never, { name: "hold" });
    cancel(root);
    const reasons = nodesOf(root).flatMap(({ reason }) => reason?.by ?? []);
    expect(reasons[0]).toContain("data.test.ts");
    expect(hold.status).toBe("running");
  });

  it("contains its waits with their remaining times", async () => {
    const root = openScope("root");
    const permits = createSemaphore(1);
    const channel = createChannel<number>();
    spawn(root, (task) => sleep(task, 41_900), { name: "sleeper" });
    spawn(root, (task) => sleep(task, Infinity), { name: "for ever" });
    spawn(root, (task) => channel.receive(task), { name: "receiver" });
    await permits.acquire(root);
    for (let index = 1; index <= 3; index++)
      spawn(root, (task) => permits.acquire(task), { name: `acquirer ${index}` });
    const label = (name: string): string[] => (named(root, name).waits ?? []).map(waitLabel);
    expect(label("sleeper")).toEqual(["sleep, 41 s left"]);
    expect(label("for ever")).toEqual(["sleep"]);
    expect(label("receiver")).toEqual(["receive"]);
    expect(label("acquirer 2")).toEqual(["acquire 2 of 3"]);
    expect(formatTree(snapshot(root))).toMatch(/acquirer 3 {2}task · \d+ ms · acquire 3 of 3/);
  });

  it("has no positions for a long queue, since computing them takes quadratic time", async () => {
    const root = openScope("root");
    const permits = createSemaphore(1);
    await permits.acquire(root);
    for (let index = 1; index <= 150; index++)
      spawn(root, (task) => permits.acquire(task), { name: `${index}` });
    expect(named(root, "100").waits).toEqual([
      { operation: "acquire", position: 100, of: 150, heldBy: [named(root, "root").id] },
    ]);
    expect(named(root, "101").waits).toEqual([
      { operation: "acquire", of: 150, heldBy: [named(root, "root").id] },
    ]);
    root.cancel();
    expect(named(root, "root").waits).toBeUndefined();
  });

  it("shows that it waits for its children", async () => {
    const root = openScope("root");
    spawn(root, never, { name: "job" });
    const joined = root.join().catch(() => {});
    expect(named(root, "root").joining).toBe(true);
    expect(formatTree(snapshot(root)).split("\n")[0]).toContain("join of 1 child");
    root.cancel();
    void joined;
  });

  it("shows how its code would notice a cancellation", async () => {
    const root = openScope("root");
    spawn(root, never, { name: "deaf" });
    spawn(root, (task) => new Promise((resolve) => task.signal.addEventListener("abort", resolve)), {
      name: "signal",
    });
    spawn(root, (task) => new Promise<void>((resolve) => void task.onCancel(() => resolve())), {
      name: "callback",
    });
    spawn(
      root,
      async (task) => {
        task.throwIfCancelled();
        await never();
      },
      { name: "check" },
    );
    spawn(
      root,
      async (task) => {
        await checkpoint(task);
        await never();
      },
      { name: "checkpoint" },
    );
    spawn(root, (task) => sleep(task, 1_000), { name: "wait" });
    expect(
      nodesOf(root)
        .slice(1)
        .map(({ name, listens }) => [name, listens]),
    ).toEqual([
      ["deaf", undefined],
      ["signal", ["signal"]],
      ["callback", ["callback"]],
      ["check", ["check"]],
      ["checkpoint", ["check"]],
      ["wait", ["wait"]],
    ]);
  });

  it("has the names of its context keys, never the values", () => {
    const root = openScope("root");
    root.set(createContextKey<string>("password"), "hunter2");
    expect(named(root, "root").context).toEqual(["password"]);
    expect(JSON.stringify(snapshot(root))).not.toContain("hunter2");
  });

  it("contains its limit, its own deadline and its grace period", () => {
    const root = openScope("root");
    const own = createScope(root, { concurrency: 4, timeout: 5_000, grace: 100, onOrphan: "ignore" });
    const job = spawn(own, never, { name: "job" });
    const [{ limit, ownDeadline, grace }] = flatten(snapshot(own)) as [NodeInfo];
    expect({ limit, grace }).toEqual({ limit: 4, grace: 100 });
    expect(ownDeadline).toBe(own.deadline);
    expect(named(root, "job")).not.toHaveProperty("ownDeadline");
    expect(snapshot(own).children[0]?.deadline).toBe(own.deadline);
    job.cancel();
  });
});

describe("stringifyTree()", () => {
  it("writes what JSON.stringify writes", () => {
    const root = openScope("root");
    createScope(root, { name: 'a "b"\n', onOrphan: "ignore" });
    spawn(root, never);
    const tree = snapshot(root);
    expect(stringifyTree(tree)).toBe(JSON.stringify(tree));
  });

  it("rule 18: writes 100,000 levels", () => {
    const root = openScope("deep");
    let scope = root;
    for (let level = 1; level < 100_000; level++)
      scope = createScope(scope, { name: "x", onOrphan: "ignore" });
    // The paths of a chain are as long as it is deep: without them, a tree of this depth has a readable size.
    const bare = structuredCloneWithoutPath(snapshot(root));
    expect(() => JSON.stringify(bare)).toThrow(RangeError);
    expect(stringifyTree(bare)).toMatch(/\]\}$/);
  });
});

/** The same tree with empty paths, made without recursion. */
function structuredCloneWithoutPath(tree: ReturnType<typeof snapshot>): ReturnType<typeof snapshot> {
  const top = { ...tree, path: "", children: [] as unknown[] };
  const todo: [typeof tree, { children: unknown[] }][] = [[tree, top]];
  for (let at = todo.pop(); at !== undefined; at = todo.pop())
    for (const child of at[0].children) {
      const copy = { ...child, path: "", children: [] as unknown[] };
      at[1].children.push(copy);
      todo.push([child, copy]);
    }
  return top as unknown as typeof tree;
}

describe("groupNodes()", () => {
  it("puts tasks that were spawned at one line and wait alike in one row, the largest first", () => {
    const before = setTracing(true);
    onTestFinished(() => void setTracing(before));
    const root = openScope("root");
    for (let index = 0; index < 5; index++) spawn(root, (task) => sleep(task, 1_000), { name: `${index}` });
    for (let index = 0; index < 2; index++) spawn(root, never);
    const groups = groupNodes(nodesOf(root).slice(1));
    expect(groups.map(({ count }) => count)).toEqual([5, 2]);
    expect(groups[0]?.label).toMatch(/^inspect\/data\.test\.ts:\d+, sleep$/);
    expect(groups[0]?.members).toHaveLength(5);
  });

  it("groups by the given properties", () => {
    const root = openScope("root");
    spawn(root, never, { name: "a" });
    spawn(root, never, { name: "a" });
    createScope(root, { name: "a", onOrphan: "ignore" });
    expect(groupNodes(nodesOf(root).slice(1), { by: ["name"] }).map(({ count }) => count)).toEqual([3]);
    expect(groupNodes(nodesOf(root).slice(1), { by: ["name", "kind"] }).map(({ label }) => label)).toEqual([
      "a, task",
      "a, handle",
    ]);
    // @ts-expect-error: no such property
    expect(() => groupNodes([], { by: ["size"] })).toThrow(RangeError);
  });

  it("has the ages of its members", () => {
    const nodes = Array.from({ length: 100 }, (_, age) => ({ ...named(openScope("x"), "x"), age: age + 1 }));
    expect(groupNodes(nodes)[0]?.age).toEqual({ p50: 50, p95: 95, p99: 99, max: 100 });
  });
});

describe("diffNodes()", () => {
  it("lists new, gone and changed scopes, and no changes by time alone", async () => {
    const root = openScope("root");
    const gone = createScope(root, { name: "gone", onOrphan: "ignore" });
    spawn(root, never, { name: "stuck" });
    const same = openScope("same");
    spawn(same, (task) => sleep(task, 1_000));
    const before = nodesOf(root);
    await gone.close();
    spawn(root, never, { name: "new" });
    root.cancel();
    const aged = nodesOf(root).map((node) => ({ ...node, age: node.age + 5 }));
    const { added, removed, changed } = diffNodes(before, aged);
    expect(added.map(({ name }) => name)).toEqual(["new"]);
    expect(removed.map(({ name }) => name)).toContain("gone");
    expect(changed.map(({ after }) => after.name)).toEqual(["root", "stuck"]);
    const [earlier, later] = [nodesOf(same), nodesOf(same).map((node) => ({ ...node, age: node.age + 5 }))];
    expect(diffNodes(earlier, later)).toEqual({ added: [], removed: [], changed: [] });
    expect(diffNodes(aged, aged)).toEqual({ added: [], removed: [], changed: [] });
  });
});

describe("the scope of a request", () => {
  it("is a request, with method, route and the status that was sent, and no query", async () => {
    let answer!: () => void;
    const server = createServer((request, response) => {
      requestScope(request, response);
      response.writeHead(202).flushHeaders();
      answer = () => response.end();
    });
    const scope = serverScope(server, { name: "shop" });
    onTestFinished(() => scope.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const response = await fetch(`http://127.0.0.1:${port}/orders/7?token=hunter2`);
    const found = snapshot(scope).children[0];
    expect(found).toMatchObject({
      kind: "request",
      request: { method: "GET", route: "/orders/7", status: 202 },
    });
    expect(JSON.stringify(found)).not.toContain("hunter2");
    answer();
    await response.text();
  });

  it.each([
    ["its body was broken off", 201, false],
    ["its client has left before the response", 499, true],
  ])(
    "of fetchBough has the status that was sent, also while it ends after %s",
    async (_, status, leavesFirst) => {
      let finish!: () => void;
      const cleanedUp = new Promise<void>((resolve) => (finish = resolve));
      const client = new AbortController();
      const handle = fetchBough(
        async (_request: Request, own) => {
          own.defer(() => cleanedUp);
          if (leavesFirst) await sleep(own, 60_000);
          const body = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1)) });
          return new Response(body, { status: 201 });
        },
        { name: "shop" },
      );
      const response = handle(new Request("http://localhost/orders/7", { signal: client.signal }));
      if (leavesFirst) {
        await new Promise((resolve) => setImmediate(resolve)); // by then, the client is watched
        client.abort();
      }
      await (await response).body?.cancel("gone");
      expect(snapshot(handle.scope).children[0]).toMatchObject({
        state: "cancelling",
        request: { method: "GET", route: "/orders/7", status },
      });
      finish();
      await handle.shutdown();
    },
  );
});
