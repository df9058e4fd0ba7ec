import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nodes } from "./support/nodes.js";
import { scriptFolder, type ScriptFolder } from "./support/run-script.js";

// Rule 11 (who receives a failure) and rule 17 (what keeps the process alive), where they can be seen: from outside,
// in processes of their own.

interface Case {
  readonly name: string;
  readonly script: string;
  /** The lines it prints. */
  readonly prints: readonly string[];
  /** Default: 0. */
  readonly code?: number;
}

/** Prints each unhandled rejection and whether it is the very object that was thrown; then fails, as Node does. */
const observe = `
  const error = new Error("boom");
  const second = new Error("second");
  process.on("unhandledRejection", (thrown) => {
    process.exitCode = 1;
    const is = thrown === error ? "error" : thrown === second ? "second" : thrown?.name + ": " + String(thrown?.message ?? thrown).split("\\n")[0];
    log("unhandled", is, "suppressed", suppressed(thrown).length);
  });
  const fails = async () => { throw error; };
  const never = (scope) => new Promise((_, reject) => scope.onCancel(reject));
`;
const unhandled = ["unhandled error suppressed 0"];

const receivers: readonly Case[] = [
  {
    name: "a handle that nobody waits for: one unhandled rejection, with the error itself",
    script: `const scope = createScope(); spawn(scope, fails); spawn(scope, never);`,
    prints: unhandled,
    code: 1,
  },
  {
    name: "a handle that is joined in the same tick: the join",
    script: `const scope = createScope(); spawn(scope, () => { throw error; });
      await scope.join().catch((thrown) => log("join", thrown === error));`,
    prints: ["join true"],
  },
  {
    name: "a handle that is joined in a microtask after it settled: the join",
    script: `const scope = createScope(); spawn(scope, () => { throw error; });
      await null; await null;
      log(scope.state);
      await scope.join().catch((thrown) => log("join", thrown === error));`,
    prints: ["closed", "join true"],
  },
  {
    name: "a handle that is joined in a later task: too late, and the join rejects all the same",
    script: `const scope = createScope(); spawn(scope, fails);
      await new Promise((resolve) => setTimeout(resolve, 5));
      await scope.join().catch((thrown) => log("join", thrown === error));`,
    prints: [...unhandled, "join true"],
    code: 1,
  },
  {
    name: "a handle that is closed: the close",
    script: `const scope = createScope(); spawn(scope, fails); const done = scope.join();
      await scope.close().catch((thrown) => log("close", thrown === error));
      await done.catch((thrown) => log("join", thrown === error));
      await scope[Symbol.asyncDispose](); log("disposed");`,
    prints: ["close true", "join true", "disposed"],
  },
  {
    name: "a handle that is only disposed: the disposal",
    script: `const scope = createScope(); spawn(scope, () => { throw error; });
      await scope[Symbol.asyncDispose]().catch((thrown) => log("disposal", thrown === error));`,
    prints: ["disposal true"],
  },
  {
    name: "withScope that is awaited: its caller",
    script: `await withScope(fails).catch((thrown) => log("caller", thrown === error));`,
    prints: ["caller true"],
  },
  {
    name: "withScope that is not awaited: one unhandled rejection of its promise",
    script: `void withScope(async (scope) => { spawn(scope, fails); spawn(scope, async () => { throw error; }); });`,
    prints: unhandled,
    code: 1,
  },
  {
    name: "a withScope inside a task: its caller only, not the parent",
    script: `await withScope(async (scope) => {
        await withScope(scope, fails).catch((thrown) => log("caller", thrown === error));
        log(scope.errors.length, scope.cancelled);
      });`,
    prints: ["caller true", "0 false"],
  },
  {
    name: "a task nobody awaits: its scope, and no rejection of its own",
    script: `await withScope((scope) => { spawn(scope, fails); }).catch((thrown) => log("scope", thrown === error));`,
    prints: ["scope true"],
  },
  {
    name: "a task that somebody awaits: both the awaiter and the scope",
    script: `await withScope(async (scope) => {
        await spawn(scope, fails).catch((thrown) => log("awaiter", thrown === error));
      }).catch((thrown) => log("scope", thrown === error));`,
    prints: ["awaiter true", "scope true"],
  },
  {
    name: "a child handle that nobody waits for: the parent scope",
    script: `await withScope(async (scope) => { const child = createScope(scope); spawn(child, fails); })
        .catch((thrown) => log("parent", thrown === error));`,
    prints: ["parent true"],
  },
  {
    name: "a child handle that is joined: the join, and not the parent scope",
    script: `await withScope(async (scope) => {
        const child = createScope(scope); spawn(child, fails);
        await child.join().catch((thrown) => log("join", thrown === error));
        log(scope.errors.length, scope.cancelled);
      });`,
    prints: ["join true", "0 false"],
  },
  {
    name: "a child handle in a supervising parent: one unhandled rejection",
    script: `await withScope({ supervise: true }, async (scope) => {
        const child = createScope(scope); spawn(child, fails);
        await null;
      });
      log("parent resolved");`,
    prints: ["parent resolved", ...unhandled],
    code: 1,
  },
  {
    name: "a task in a supervising scope that is awaited: the awaiter",
    script: `await withScope({ supervise: true }, async (scope) => {
        await spawn(scope, fails).catch((thrown) => log("awaiter", thrown === error));
        log(scope.errors.length);
      });`,
    prints: ["awaiter true", "0"],
  },
  {
    name: "a task in a supervising scope that is awaited in the microtask after it failed: the awaiter",
    script: `await withScope({ supervise: true }, async (scope) => {
        const task = spawn(scope, () => { throw error; });
        await null;
        await task.catch((thrown) => log("awaiter", thrown === error));
      });`,
    prints: ["awaiter true"],
  },
  {
    name: "a task in a supervising scope that nobody awaits: one unhandled rejection",
    script: `await withScope({ supervise: true }, async (scope) => {
        spawn(scope, fails);
        spawn(scope, async () => log("sibling"));
      });
      log("scope resolved");`,
    prints: ["sibling", "scope resolved", ...unhandled],
    code: 1,
  },
  {
    name: "a task in the background: one unhandled rejection",
    script: `spawn(background, fails);`,
    prints: unhandled,
    code: 1,
  },
  {
    name: "the nearest onError: it, and no rejection",
    script: `const scope = createScope({ name: "root", onError: (thrown, task) => log("root", thrown === error, task.path) });
      const inner = createScope(scope, { supervise: true, name: "inner",
        onError: (thrown, task) => log("inner", thrown === error, task.path, task.status) });
      spawn(inner, async function worker() { throw error; });`,
    prints: ["inner true root/inner/worker failed"],
  },
  {
    name: "onError: each failure once, those after the first included",
    script: `const scope = createScope({ onError: (thrown) => log(thrown === error ? "error" : thrown === second ? "second" : "other") });
      spawn(scope, async (task) => { task.defer(() => { throw second; }); throw error; });`,
    prints: ["error", "second"],
  },
  {
    name: "onError that throws: both errors are unhandled rejections",
    script: `const scope = createScope({ onError: () => { throw second; } }); spawn(scope, fails);`,
    prints: ["unhandled error suppressed 0", "unhandled second suppressed 0"],
    code: 1,
  },
  {
    name: "two failures without a receiver: the first has the second among its suppressed",
    script: `process.removeAllListeners("unhandledRejection");
      process.on("unhandledRejection", (thrown) => {
        if (thrown === error) log("unhandled error", suppressed(thrown)[0] === second);
      });
      const scope = createScope();
      scope.defer(() => { throw second; });
      spawn(scope, fails);`,
    prints: ["unhandled error true"],
  },
  {
    name: "a primitive that was thrown: delivered as it is",
    script: `await withScope((scope) => { spawn(scope, async () => { throw "text"; }); }).catch((thrown) => log("caller", thrown));
      await withScope(async () => { throw undefined; }).catch((thrown) => log("caller", thrown));
      spawn(background, async () => { throw 42; });`,
    prints: ["caller text", "caller undefined", "unhandled undefined: 42 suppressed 0"],
    code: 1,
  },
  {
    name: "a cancellation: nobody, it is no failure",
    script: `const scope = createScope(); spawn(scope, never); spawn(scope, never).cancel(); spawn(background, never).cancel();
      scope.cancel(); await scope.close(); log("closed");`,
    prints: ["closed"],
  },
  {
    name: "a task's own timeout: its scope",
    script: `await withScope(async (scope) => { spawn(scope, never, { timeout: 1 }); await never(scope); })
        .catch((thrown) => log("scope", thrown.name, thrown.kind));`,
    prints: ["scope TimeoutError deadline"],
  },
  {
    name: "a callback of onCancel that throws although the scope is closed: one unhandled rejection",
    script: `const scope = createScope(); scope.cancel(); await scope.close();
      scope.onCancel(() => { throw error; });`,
    prints: unhandled,
    code: 1,
  },
  {
    name: "work that is stuck and has no close() pending: a warning, and the scope still settles",
    script: `const scope = createScope({ name: "root", grace: 5 });
      let end; spawn(scope, () => new Promise((resolve) => (end = resolve)), { name: "stuck" });
      process.removeAllListeners("warning").on("warning", (warning) => { log(warning.name, warning.code, scope.state); end(); });
      scope.cancel();
      await scope.join().catch(() => undefined); log(scope.state, scope.errors.length);`,
    prints: ["BoughStuckWarning BOUGH_STUCK_TASKS cancelling", "closed 0"],
  },
];

const holds: readonly Case[] = [
  {
    name: "an idle handle with a long deadline does not keep the process alive",
    script: `globalThis.scope = createScope({ timeout: 100_000_000 }); log("end");`,
    prints: ["end"],
  },
  {
    name: "nor does one whose child has finished",
    script: `globalThis.scope = createScope({ timeout: 100_000_000 }); await spawn(scope, async () => 1); log("end");`,
    prints: ["end"],
  },
  {
    name: "a handle with a running child keeps it alive until the deadline",
    script: `globalThis.scope = createScope({ timeout: 30 });
      spawn(scope, async (task) => { await never(task).catch((reason) => log(reason.kind)); });
      log("end");`,
    prints: ["end", "deadline"],
  },
  {
    name: "a withScope whose body waits keeps it alive until the deadline",
    script: `void withScope({ timeout: 30 }, never).catch((reason) => log(reason.kind)); log("end");`,
    prints: ["end", "deadline"],
  },
  {
    name: "a task with a timeout keeps it alive until the deadline",
    script: `spawn(background, never, { timeout: 30 }).catch((reason) => log(reason.kind)); log("end");`,
    prints: ["end", "deadline"],
  },
  {
    name: "a queued task with a timeout keeps it alive",
    script: `globalThis.scope = createScope({ concurrency: 1, supervise: true });
      spawn(scope, never).catch(() => undefined);
      spawn(scope, never, { timeout: 30 }).catch((reason) => log(reason.kind)); log("end");`,
    prints: ["end", "deadline"],
  },
  {
    name: "a child without a deadline of its own keeps the parent's alive",
    script: `globalThis.scope = createScope({ timeout: 30 }); globalThis.child = createScope(scope);
      spawn(child, (task) => never(task).catch((reason) => log(reason.kind))); log("end");`,
    prints: ["end", "deadline"],
  },
  {
    name: "a body that waits without a deadline does not keep it alive",
    script: `void withScope(never); log("end");`,
    prints: ["end"],
  },
  {
    name: "the timer of a grace period keeps it alive, so that what is stuck is reported",
    script: `globalThis.scope = createScope({ grace: 30, onError: (thrown) => log(thrown.name, thrown.code) });
      spawn(scope, () => new Promise(() => {})); scope.cancel(); log("end");`,
    prints: ["end", "StuckTasksError BOUGH_STUCK_TASKS"],
  },
  {
    name: "so does that of a close()",
    script: `globalThis.scope = createScope();
      spawn(scope, () => new Promise(() => {})); scope.close({ grace: 30 }).catch((thrown) => log(thrown.name)); log("end");`,
    prints: ["end", "StuckTasksError"],
  },
  {
    name: "a sleep keeps it alive, an infinite one does not",
    script: `void sleep(background, 30).then(() => log("woke")); void sleep(background, Infinity).then(() => log("never"));
      log("end");`,
    prints: ["end", "woke"],
  },
  {
    name: "a scope that has settled keeps no timer",
    script: `await withScope({ timeout: 100_000_000, grace: 100_000_000 }, async (scope) => {
        spawn(scope, never, { timeout: 90_000_000 });
        void sleep(scope, 80_000_000).catch(() => undefined);
        scope.cancel();
      }).catch((reason) => log(reason.kind));
      log("end");`,
    prints: ["explicit", "end"],
  },
];

let scripts: ScriptFolder;

beforeAll(async () => {
  scripts = await scriptFolder();
});

afterAll(() => scripts.remove());

for (const node of nodes()) {
  describe.skipIf(!node.path)(`on ${node.label}`, { timeout: 20_000, concurrent: true }, () => {
    const check = async ({ script, prints, code = 0 }: Case): Promise<void> => {
      const outcome = await scripts.run(observe + script, { node: node.path });
      expect({ code: outcome.code, output: outcome.output.split("\n").filter(Boolean) }).toEqual({
        code,
        output: [...prints],
      });
    };
    for (const { name, ...one } of receivers) it(`rule 11: ${name}`, () => check({ name, ...one }));
    for (const { name, ...one } of holds) it(`rule 17: ${name}`, () => check({ name, ...one }));

    it("rule 11: without a listener, an unreceived failure ends the process with code 1 and its stack", async () => {
      const { code, output } = await scripts.run(`
        const scope = createScope();
        spawn(scope, async () => { throw new Error("the one error"); });
        setTimeout(() => log("not reached"), 1000);
      `);
      expect(code).toBe(1);
      expect(output.split("Error: the one error")).toHaveLength(2);
      expect(output).not.toContain("not reached");
    });
  });
}
