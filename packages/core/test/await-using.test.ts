import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createChannel,
  createScope,
  selfCleaning,
  sleep,
  spawn,
  suppressed,
  withScope,
  type ScopeHandle,
} from "../src/index.js";
import { deferred, flush, rejection } from "./support/deferred.js";
import { nodes } from "./support/nodes.js";
import { scriptFolder, type ScriptFolder } from "./support/run-script.js";
import { collectUnhandled } from "./support/unhandled-rejections.js";

// `await using` is syntax from Node 24 on; older Nodes run what esbuild makes of it, which asks for the disposal method at
// the same moment: where the block begins.

const unhandled = collectUnhandled();

const boom = new TypeError("boom");
const fails = (): Promise<never> => Promise.reject(boom);

describe("rule 11: the failure of a handle that a block disposes of", () => {
  it("waits for the block, which throws it, the same object", async () => {
    const gate = deferred();
    async function job(): Promise<string> {
      await using scope = createScope({ name: "job" });
      spawn(scope, fails);
      await gate.promise; // the block is busy with something else
      return "returned normally";
    }
    const done = job();
    await flush();
    await flush();
    expect(unhandled).toEqual([]);
    expect(process.listenerCount("beforeExit")).toBe(1);
    gate.resolve();
    expect(await rejection(done)).toBe(boom);
    expect(unhandled).toEqual([]);
    expect(process.listenerCount("beforeExit")).toBe(0);
  });

  it("is reported once when the block has awaited the task that failed", async () => {
    async function job(): Promise<unknown> {
      await using scope = createScope({ name: "job" });
      return await spawn(scope, fails);
    }
    expect(await rejection(job())).toBe(boom);
  });

  it("is reported once when the block has awaited an ancestor of the task that failed", async () => {
    async function job(): Promise<unknown> {
      await using scope = createScope();
      return await spawn(scope, async (task) => {
        spawn(task, fails);
        await sleep(task, Infinity);
      });
    }
    expect(await rejection(job())).toBe(boom);
  });

  it("is not reported again when the block has caught it", async () => {
    async function job(): Promise<unknown> {
      await using scope = createScope();
      return await spawn(scope, fails).catch((error: unknown) => error);
    }
    expect(await job()).toBe(boom);
  });

  it("is reported once when the block has joined or closed the scope", async () => {
    for (const end of ["join", "close"] as const) {
      async function job(): Promise<void> {
        await using scope = createScope();
        spawn(scope, fails);
        await flush();
        await scope[end]();
      }
      expect(await rejection(job())).toBe(boom);
    }
  });

  it("is added to an error of the block itself, as for any resource", async () => {
    const own = new Error("the block's");
    async function job(): Promise<void> {
      await using scope = createScope();
      spawn(scope, fails);
      await flush();
      throw own;
    }
    expect(await rejection(job())).toMatchObject({ name: "SuppressedError", error: boom, suppressed: own });
  });

  it("is thrown with the cancellation that it caused if the block awaits a cancelled task, and alone by withScope", async () => {
    const waits: ((scope: ScopeHandle) => PromiseLike<unknown>)[] = [
      (scope) => sleep(scope, Infinity),
      (scope) => spawn(scope, (task) => sleep(task, Infinity)),
      (scope) => createChannel().receive(scope),
    ];
    for (const wait of waits) {
      async function job(): Promise<unknown> {
        await using scope = createScope();
        const waiting = wait(scope);
        spawn(scope, fails);
        return await waiting;
      }
      const error = await rejection(job());
      expect(error).toMatchObject({
        name: "SuppressedError",
        error: boom,
        suppressed: { kind: "failure", cause: boom },
      });
    }
    const job = withScope(async (scope) => {
      spawn(scope, fails);
      await sleep(scope, Infinity);
    });
    expect(await rejection(job)).toBe(boom);
  });

  it("from a cleanup is thrown as the same object, although the block has awaited a failed task", async () => {
    const late = new Error("cleanup");
    async function job(): Promise<unknown> {
      await using scope = createScope();
      scope.defer(() => {
        throw late;
      });
      return await spawn(scope, fails);
    }
    const error = await rejection(job());
    expect(error).toBe(boom);
    expect(suppressed(error)).toEqual([late]);
  });

  it("does not hide later failures if it is a primitive value", async () => {
    const late = new Error("cleanup");
    async function job(): Promise<unknown> {
      await using scope = createScope();
      scope.defer(() => {
        throw late;
      });
      return await spawn(scope, () => {
        // oxlint-disable-next-line no-throw-literal, typescript/only-throw-error -- users throw what they like
        throw "a string";
      });
    }
    expect(await rejection(job())).toMatchObject({ error: late, suppressed: "a string" });
  });

  it("in a child scope goes to the block and not to the parent, which waits for the block", async () => {
    const order: string[] = [];
    const gate = deferred();
    await withScope(async (parent) => {
      const block = (async () => {
        await using scope = createScope(parent);
        spawn(scope, fails);
        await gate.promise;
        order.push("block ends");
      })();
      await flush();
      expect(parent.cancelled).toBe(false);
      gate.resolve();
      expect(await rejection(block)).toBe(boom);
    });
    expect(order).toEqual(["block ends"]);
    expect(unhandled).toEqual([]);
  });

  it("in a child scope lets the report of a stuck parent name the handle that it waits for", async () => {
    const parent = createScope({ name: "parent", grace: 1 });
    const child = createScope(parent, { name: "child" });
    const dispose = child[Symbol.asyncDispose].bind(child); // as await using does
    spawn(child, fails);
    await flush();
    expect(child.state).toBe("closed");
    expect(await rejection(parent.close())).toMatchObject({
      name: "StuckTasksError",
      tasks: [{ path: "parent/child", waitingFor: "close" }],
    });
    expect(await rejection(dispose())).toBe(boom);
    await parent.close();
    expect(unhandled).toEqual([]);
  });

  it("goes to another scope if that scope disposes of the handle by use()", async () => {
    const error = await rejection(
      withScope(async (outer) => {
        const scope = outer.use(createScope());
        spawn(scope, fails);
        await flush();
      }),
    );
    expect(error).toBe(boom);
    expect(unhandled).toEqual([]);
  });

  it("waits for the block if the handle is one of selfCleaning, too", async () => {
    class Poller {
      value = 1;
    }
    async function job(): Promise<void> {
      await using poller = selfCleaning((scope) => {
        spawn(scope, fails);
        return new Poller();
      });
      await flush();
      await flush();
      expect(poller.value).toBe(1);
    }
    expect(await rejection(job())).toBe(boom);
    expect(unhandled).toEqual([]);
  });

  it("is an unhandled rejection at once if no code has read the disposal method", async () => {
    const scope: ScopeHandle = createScope();
    spawn(scope, fails);
    await flush();
    await flush();
    expect(unhandled).toEqual([boom]);
    await scope[Symbol.asyncDispose](); // told before
  });
});

describe("rule 11, in a process", () => {
  let scripts: ScriptFolder;
  beforeAll(async () => {
    scripts = await scriptFolder("testing");
  });
  afterAll(() => scripts.remove());

  for (const node of nodes()) {
    describe.skipIf(!node.path)(`on ${node.label}`, { timeout: 20_000 }, () => {
      const run = (source: string): ReturnType<ScriptFolder["run"]> =>
        scripts.run(source, { node: node.path });

      it("a failure that a block never throws ends the process when the process is about to end", async () => {
        const { code, output } = await run(`
          const scope = createScope({ name: "job" });
          scope[Symbol.asyncDispose]; // as await using does
          spawn(scope, async () => { throw new Error("lost?"); });
          setTimeout(() => log("the process goes on"), 20);`);
        expect(code).toBe(1);
        expect(output).toContain("the process goes on");
        expect(output).toContain("lost?");
      });

      it("the failure of a handle that was collected instead is an unhandled rejection", async () => {
        const { stdout } = await run(`
          process.on("unhandledRejection", (error) => log("unhandled", error.message));
          (() => {
            const scope = createScope({ name: "job" });
            scope[Symbol.asyncDispose];
            spawn(scope, async () => { throw new Error("lost?"); });
          })();
          const alive = setInterval(() => {}, 1_000);
          await new Promise((resolve) => setTimeout(resolve, 10));
          for (let i = 0; i < 5; i++) await collectGarbage();
          log("collected");
          clearInterval(alive);`);
        expect(stdout).toBe("unhandled lost?\ncollected\n");
      });

      const hasSyntax = Number(/\d+/.exec(node.label)?.[0] ?? 0) >= 24;
      it.skipIf(!hasSyntax)(
        "the syntax itself: the block throws the error, and the process goes on",
        async () => {
          const { code, stdout } = await run(`
          const boom = new TypeError("boom");
          async function busy() {
            await using scope = createScope({ name: "job" });
            spawn(scope, async () => { throw boom; });
            await new Promise((resolve) => setTimeout(resolve, 20));
          }
          async function awaiting() {
            await using scope = createScope({ name: "job" });
            return await spawn(scope, async () => { throw boom; });
          }
          log(await busy().catch((error) => error === boom), await awaiting().catch((error) => error === boom));`);
          expect(stdout).toBe("true true\n");
          expect(code).toBe(0);
        },
      );
    });
  }
});
