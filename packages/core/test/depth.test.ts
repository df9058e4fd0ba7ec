import "../src/effection/index.js";
import { AsyncLocalStorage } from "node:async_hooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createScope, sleep, spawn, withScope, type Scope } from "../src/index.js";
import { deferred } from "./support/deferred.js";
import { nodesForSlowTests } from "./support/nodes.js";
import { scriptFolder, type ScriptFolder } from "./support/run-script.js";

// Rule 18: nothing recurses over the tree. Rule 6: nothing is left of it. In processes with an ordinary stack.

const depth = 100_000;
const width = 1_000_000;

/**
 * `chain(make)` makes a chain of scopes, each in the one before, and returns all of them (a handle that is dropped
 * would be an orphan); `spawned` and `created` are the two kinds of a link.
 */
const prelude = `
  const depth = ${depth}, width = ${width};
  const untilCancelled = (scope) => new Promise((_, reject) => scope.onCancel(reject));
  function spawned(parent, worker = untilCancelled) {
    let made;
    const task = spawn(parent, (scope) => { made = scope; return worker(scope); });
    return made;
  }
  const created = (parent) => createScope(parent);
  function chain(root, make, levels = depth) {
    const scopes = [root];
    for (let level = 0; level < levels; level++) scopes.push(make(scopes.at(-1)));
    return scopes;
  }
  const all = (scopes, test) => scopes.every(test);
  const settled = () => new Promise((resolve) => setTimeout(resolve, 0));
`;

const scripts: Record<string, { readonly script: string; readonly prints: string }> = {
  "a chain of tasks is cancelled and joined": {
    script: `
      const root = createScope();
      const scopes = chain(root, (parent) => spawned(parent));
      const signal = scopes.at(-1).signal;
      const joined = root.join().catch((error) => error);
      root.cancel();
      log(all(scopes, (scope) => scope.reason === root.reason), signal.aborted);
      log(await joined === root.reason, all(scopes, (scope) => scope.state === "closed"));`,
    prints: "true true\ntrue true\n",
  },
  "a chain of handles is cancelled and joined": {
    script: `
      const scopes = chain(createScope(), created);
      const [root] = scopes;
      const joined = root.join().catch((error) => error);
      root.cancel();
      log(await joined, all(scopes, (scope) => scope.reason === root.reason && scope.state === "closed"));`,
    prints: "undefined true\n",
  },
  "a chain of tasks and handles by turns is closed from the top": {
    script: `
      const scopes = chain(createScope(), (parent) => created(spawned(parent)), depth / 2);
      await scopes[0].close();
      log(all(scopes, (scope) => scope.state === "closed" && scope.reason === scopes[0].reason));`,
    prints: "true\n",
  },
  "each level of a chain has a defer": {
    script: `
      let ran = 0;
      const scopes = chain(createScope(), created);
      for (const scope of scopes) scope.defer(() => { ran += 1; });
      await scopes[0].close();
      log(ran, all(scopes, (scope) => scope.state === "closed"));`,
    prints: "100001 true\n",
  },
  "the leaf of a chain of tasks fails": {
    script: `
      const root = createScope();
      const scopes = chain(root, (parent) => spawned(parent));
      const error = new Error("leaf");
      const joined = root.join().catch((error) => error);
      spawned(scopes.at(-1), () => { throw error; });
      log(await joined === error, all(scopes, (scope) => scope.errors[0] === error && scope.state === "closed"));
      log(root.reason.kind, root.reason.cause === error, all(scopes, (scope) => scope.reason === root.reason));`,
    prints: "true true\nfailure true true\n",
  },
  "the leaf of a chain of handles fails, and nobody waits but the root": {
    script: `
      const scopes = chain(createScope(), created);
      const error = new Error("leaf");
      const joined = scopes[0].join().catch((error) => error);
      spawned(scopes.at(-1), async () => { throw error; });
      log(await joined === error, all(scopes, (scope) => scope.errors[0] === error && scope.state === "closed"));`,
    prints: "true true\n",
  },
  "settling cascades from the leaf of a chain of tasks": {
    script: `
      const root = createScope();
      const opens = [];
      const scopes = chain(root, (parent) => spawned(parent, () => new Promise((resolve) => opens.push(resolve))));
      const end = opens.pop();
      for (const open of opens) open();
      const joined = root.join().then(() => "joined");
      await settled();
      log(all(scopes.slice(0, -1), (scope) => scope.state === "closing"), scopes.at(-1).state);
      end();
      log(await joined, all(scopes, (scope) => scope.state === "closed"), root.cancelled);`,
    prints: "true open\njoined true false\n",
  },
  "settling cascades from the leaf of a chain of handles": {
    script: `
      const scopes = chain(createScope(), created);
      const joins = Promise.all(scopes.map((scope) => scope.join()));
      await joins;
      log(all(scopes, (scope) => scope.state === "closed" && !scope.cancelled));`,
    prints: "true\n",
  },
  "daemons in daemons are stopped": {
    script: `
      const root = createScope();
      let at = root;
      const worker = (scope) => { at = scope; return untilCancelled(scope); };
      for (let level = 0; level < depth; level++) spawn(at, worker, { daemon: true });
      await root.join();
      log(at.state, at.reason.kind, root.cancelled);`,
    prints: "closed closed false\n",
  },
  "withScope in withScope": {
    script: `
      let leaf, at = createScope();
      const root = at;
      const outcomes = [];
      for (let level = 0; level < depth; level++) {
        outcomes.push(withScope(at, (scope) => { leaf = scope; return untilCancelled(scope); }).catch((error) => error));
        at = leaf;
      }
      root.cancel();
      const reasons = await Promise.all(outcomes);
      log(all(reasons, (reason) => reason === root.reason), leaf.state);`,
    prints: "true closed\n",
  },
  "a deadline cuts a chain": {
    script: `
      const root = createScope({ timeout: 60_000 });
      const scopes = chain(root, (parent) => spawned(parent));
      log(scopes.at(-1).deadline === root.deadline, scopes.at(-1).path.length > depth);
      root.cancel();
      await root.close();`,
    prints: "true true\n",
  },
  "a scope with many children is cancelled and joined": {
    script: `
      const root = createScope();
      let cancelled = 0;
      const onCancel = () => { cancelled += 1; };
      for (let i = 0; i < width; i++) spawn(root, (scope) => { scope.onCancel(onCancel); return untilCancelled(scope); });
      await settled();
      const joined = root.join().catch((error) => error);
      root.cancel();
      log(cancelled === width, await joined === root.reason, root.state);`,
    prints: "true true closed\n",
  },
  "a scope with many children: one fails": {
    script: `
      const root = createScope();
      const error = new Error("one");
      let fail;
      for (let i = 0; i < width / 5; i++) {
        spawn(root, (scope) => new Promise((_, reject) => { scope.onCancel(reject); if (i === 0) fail = reject; }));
      }
      await settled();
      const joined = root.join().catch((error) => error);
      fail(error);
      log(await joined === error, root.errors.length, root.state);`,
    prints: "true 1 closed\n",
  },
  "a scope with many children that wait for a slot is cancelled": {
    script: `
      const root = createScope({ concurrency: 1 });
      let called = 0;
      for (let i = 0; i < width / 5; i++) spawn(root, (scope) => { called += 1; return untilCancelled(scope); });
      root.cancel();
      log(await root.join().catch((error) => error === root.reason), called);`,
    prints: "true 1\n",
  },
};

let folder: ScriptFolder;

beforeAll(async () => {
  folder = await scriptFolder();
});

afterAll(() => folder.remove());

for (const node of nodesForSlowTests()) {
  describe.skipIf(node.path === undefined)(`on ${node.label}`, { timeout: 60_000 }, () => {
    for (const [name, { script, prints }] of Object.entries(scripts)) {
      it(`rule 18: ${name}`, async () => {
        expect(await folder.run(prelude + script, { node: node.path })).toMatchObject({
          code: 0,
          output: prints,
        });
      });
    }

    it("rule 6: a scope that has run a million tasks is as large as a scope that has run none", async () => {
      const script = `
        const scope = createScope();
        const used = async () => { for (let i = 0; i < 3; i++) { await settled(); gc(); } return process.memoryUsage().heapUsed; };
        const run = async (tasks) => {
          for (let i = 0; i < tasks; i += 1000) {
            for (let j = 0; j < 1000; j++) spawn(scope, j % 2 === 0 ? () => j : async (task) => { task.onCancel(() => j); });
            await Promise.resolve(); await null; await null;
          }
        };
        await run(10_000);
        const before = await used();
        await run(width);
        const retained = await used() - before;
        log(retained < width / 4 ? "nothing" : retained + " bytes", scope.state);
        await scope.close();`;
      const { output } = await folder.run(prelude + script, { node: node.path, flags: ["--expose-gc"] });
      expect(output).toBe("nothing open\n");
    });
  });
}

describe("AsyncLocalStorage", () => {
  const storage = new AsyncLocalStorage<string>();
  const withStore = <T>(store: string, action: () => T): T => storage.run(store, action);
  const store = (): string => storage.getStore() ?? "none";

  it("rule 3: a worker runs in the context of its spawn, also after a wait", async () => {
    const log: string[] = [];
    await withScope(async (scope) => {
      withStore("spawner", () =>
        spawn(scope, async (task) => {
          log.push(store());
          await sleep(task, 0);
          log.push(store());
        }),
      );
      log.push(store());
    });
    expect(log).toEqual(["spawner", "none", "spawner"]);
  });

  it("rule 3: a worker that had to wait for a slot runs in the context of its spawn", async () => {
    const log: string[] = [];
    const gate = deferred();
    await withStore("outer", () =>
      withScope({ concurrency: 1 }, async (scope) => {
        const first = withStore("first", () => spawn(scope, () => gate.promise));
        withStore("second", () => spawn(scope, () => log.push(store())));
        withStore("third", () => spawn(scope, async () => log.push(store())));
        withStore("resolver", () => gate.resolve());
        await first;
        log.push(store());
      }),
    );
    expect(log.toSorted()).toEqual(["outer", "second", "third"]);
  });

  it("rule 3: a body and an Effection operation run in the context of their call", async () => {
    const log: string[] = [];
    await withStore("caller", () => withScope(() => log.push(store())));
    await withScope(async (scope) => {
      await withStore("spawner", () =>
        // eslint-disable-next-line require-yield -- that it starts is what counts
        spawn(scope, function* () {
          log.push(store());
        }),
      );
    });
    expect(log).toEqual(["caller", "spawner"]);
  });

  it("rule 23: a defer runs in the context of its defer() call", async () => {
    const log: string[] = [];
    const scope = createScope();
    withStore("first", () => scope.defer(() => log.push(store())));
    withStore("second", () =>
      scope.defer(async () => {
        await Promise.resolve();
        log.push(store());
      }),
    );
    withStore("third", () => scope.use({ [Symbol.dispose]: () => log.push(store()) }));
    await withStore("closer", () => scope.close());
    expect(log).toEqual(["third", "second", "first"]);
  });

  it("rule 23: an onCancel callback runs in the canceller's context, and so does a listener", () => {
    const log: string[] = [];
    const scope = createScope();
    const child = createScope(scope);
    const tell = (who: string) => (): void => void log.push(`${who} ${store()}`);
    withStore("adder", () => {
      scope.onCancel(tell("callback"));
      child.onCancel(tell("callback below"));
      scope.signal.addEventListener("abort", tell("listener"));
    });
    withStore("canceller", () => scope.cancel());
    withStore("late", () => scope.onCancel(tell("late callback")));
    expect(log).toEqual([
      "listener canceller",
      "callback canceller",
      "callback below canceller",
      "late callback late",
    ]);
  });

  it("rule 18: levels of scopes add nothing to the context", async () => {
    let at: Scope = createScope();
    const seen = new Set<string>();
    withStore("one", () => {
      for (let level = 0; level < 100; level++) {
        spawn(at, (scope) => {
          at = scope;
          seen.add(store());
        });
        if (at.state === "closed") break;
      }
    });
    expect([...seen]).toEqual(["one"]);
  });
});
