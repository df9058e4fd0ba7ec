import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nodes } from "./support/nodes.js";
import { scriptFolder, type ScriptFolder } from "./support/run-script.js";

// A debugger that shows asynchronous stacks, as DevTools do. It is a worker thread that is attached to the main thread.

const attached = `
  const { Worker } = await import("node:worker_threads");
  const { once } = await import("node:events");
  const debuggerThread = new Worker(\`
    const { Session } = require("node:inspector");
    const { parentPort } = require("node:worker_threads");
    const session = new Session();
    session.connectToMainThread();
    session.on("Debugger.paused", ({ params }) => {
      const stacks = [params.callFrames];
      for (let at = params.asyncStackTrace; at !== undefined; at = at.parent) stacks.push(at.callFrames);
      session.post("Debugger.resume");
      parentPort.postMessage(stacks.map((frames) => frames.map(({ functionName }) => functionName)));
    });
    parentPort.on("message", () => {}); // keeps the thread alive
    session.post("Debugger.enable");
    session.post("Debugger.setAsyncCallStackDepth", { maxDepth: 32 }, () => parentPort.postMessage("attached"));
  \`, { eval: true });
  await once(debuggerThread, "message");
  async function charge(own) {
    await sleep(own, 1);
    debugger;
  }
  const stacks = once(debuggerThread, "message");
`;

let scripts: ScriptFolder;
beforeAll(async () => {
  scripts = await scriptFolder();
});
afterAll(() => scripts.remove());

/** The functions that the debugger shows when a program comes to its `debugger` statement, one list for each stack. */
async function stacksOf(node: string, program: string): Promise<string[][]> {
  const end = "log(JSON.stringify((await stacks)[0])); await debuggerThread.terminate();";
  const { stdout, output } = await scripts.run(`${attached}${program}${end}`, { node });
  if (stdout === "") throw new Error(`no stacks: ${output}`);
  return JSON.parse(stdout) as string[][];
}

for (const { label, path = "" } of nodes()) {
  describe.skipIf(path === "")(
    `a debugger on ${label} shows who has started a task, without console.createTask()`,
    () => {
      it("after the awaits of its worker", async () => {
        const [inner, outer] = await stacksOf(
          path,
          `function placeOrder(scope) { return spawn(scope, charge); }
        await withScope(async (scope) => void placeOrder(scope));`,
        );
        expect(inner?.[0]).toBe("charge");
        expect(outer).toContain("placeOrder");
      });

      it("also of one that has waited for a slot of its scope", async () => {
        const [inner, ...outer] = await stacksOf(
          path,
          `const pool = createScope({ concurrency: 1 });
        function placeOrder() { return spawn(pool, charge); }
        spawn(pool, (own) => sleep(own, 1));
        placeOrder();
        await pool.join();`,
        );
        expect(inner?.[0]).toBe("charge");
        expect(outer.flat()).toContain("placeOrder");
      });

      it("also of a task that a task has started", async () => {
        const stacks = await stacksOf(
          path,
          `async function order(own) { await sleep(own, 1); await spawn(own, charge); }
        function placeOrder(scope) { return spawn(scope, order); }
        await withScope(async (scope) => void placeOrder(scope));`,
        );
        const names = stacks.flat();
        expect(names.indexOf("order")).toBeGreaterThan(names.indexOf("charge"));
        expect(names.indexOf("placeOrder")).toBeGreaterThan(names.indexOf("order"));
      });
    },
  );
}
