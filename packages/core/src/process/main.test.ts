import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Child, type Ending } from "../../test/support/child.js";
import { rejection } from "../../test/support/deferred.js";
import { nodes } from "../../test/support/nodes.js";
import { scriptFolder, type ScriptFolder } from "../../test/support/run-script.js";
import { main } from "./main.js";
import type { MainOptions } from "./options.js";

// In real processes, with real signals and pipes: a stand-in for `process` would only show what we believe of it.

let scripts: ScriptFolder;
beforeAll(async () => {
  scripts = await scriptFolder("process", "effection");
});
const children = new Set<Child>();
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  scripts.remove();
});

/** The helpers of every script: a wait for the cancellation, and work that ignores it. */
const helpers = `
  const forever = (scope) => sleep(scope, Infinity);
  const deaf = () => new Promise(() => {});
  const listeners = () => ["SIGINT", "SIGTERM", "SIGHUP"].map((name) => process.listenerCount(name)).join();
`;

for (const node of nodes()) {
  const start = (script: string): Child => {
    const child = new Child(node.path ?? "", [scripts.write(helpers + script)]);
    children.add(child);
    return child;
  };

  /** Sends one signal after the other, each when the script has printed "ready" once more. */
  const stopped = async (script: string, ...signals: readonly NodeJS.Signals[]): Promise<Ending> => {
    const child = start(script);
    let text = "";
    for (const signal of signals) {
      await child.printed((text += "ready\n"));
      child.kill(signal);
    }
    return child.ending();
  };

  describe.skipIf(!node.path)(
    `rule 33: main() on ${node.label}`,
    { timeout: 60_000, concurrent: true },
    () => {
      it("runs the body in a root scope, and leaves no listener behind", async () => {
        const ending = await start(`
        await main(async function tool(scope) {
          scope.defer(() => log("cleanup"));
          log(scope.path, scope.state, listeners());
          spawn(scope, async () => log("child"));
          return 3;
        });
        log(process.exitCode, listeners());
        process.on("exit", () => log(process.stdout.listenerCount("error"), process.stderr.listenerCount("error")));
      `).ending();
        const stdout = "tool open 1,1,1\nchild\ncleanup\nundefined 0,0,0\n0 0\n";
        expect(ending).toEqual({ code: 0, signal: null, stdout, stderr: "" });
      });

      it("takes a generator function, and leaves an exit code that the program has set", async () => {
        const ending = await start(
          `await main(function* (scope) { process.exitCode = 7; log(scope.path); }, { name: "given" });`,
        ).ending();
        expect(ending).toMatchObject({ code: 7, stdout: "given\n", stderr: "" });
      });

      it.each([
        ["SIGINT", 130],
        ["SIGTERM", 143],
        ["SIGHUP", 129],
      ] as const)("%s cancels the scope, cleans up and exits with %d", async (signal, code) => {
        const script = `
        await main(async (scope) => {
          scope.defer(() => sleep(background, 5).then(() => log("deferred")));
          spawn(scope, (task) => forever(task).finally(() => log("child", task.reason.kind, task.reason.cause)));
          setTimeout(() => log("ready"), 50).unref(); // nothing but main keeps the process alive
          await forever(scope).catch(() => log("body"));
        });
        const watching = setInterval(() => {
          if (listeners() !== "0,0,0") return; // those that take a repeated signal for the same one
          clearInterval(watching);
          log("end", listeners());
        }, 20);
      `;
        const stdout = `ready\nbody\nchild shutdown ${signal}\ndeferred\nend 0,0,0\n`;
        expect(await stopped(script, signal)).toEqual({ code, signal: null, stdout, stderr: "" });
      });

      it("a body that returns a value after a signal still ends with the exit code of the signal", async () => {
        const script = `await main((scope) => { log("ready"); return forever(scope).catch(() => 1); });`;
        expect(await stopped(script, "SIGTERM")).toMatchObject({ code: 143, stderr: "" });
      });

      it("an exit code that the program has set stays after a signal", async () => {
        const script = `await main((scope) => {
        scope.defer(() => { process.exitCode = 0; });
        log("ready");
        return forever(scope);
      });`;
        expect(await stopped(script, "SIGTERM")).toMatchObject({ code: 0, stderr: "" });
      });

      it("listens only to the signals of its option", async () => {
        const script = `await main((scope) => { scope.defer(() => log("cleanup")); log("ready"); return forever(scope); }, { signals: ["SIGUSR2"] });`;
        expect(await stopped(script, "SIGTERM")).toMatchObject({
          code: null,
          signal: "SIGTERM",
          stdout: "ready\n",
        });
        expect(await stopped(script, "SIGUSR2")).toMatchObject({ code: 140, stdout: "ready\ncleanup\n" });
      });

      it("a second signal forces the exit and names the stuck tasks", async () => {
        const script = `await main(async function tool(scope) {
        scope.defer(() => log("not reached"));
        spawn(scope, deaf);
        spawn(scope, forever, { name: "polite" });
        log("ready");
        await forever(scope).catch(() => setTimeout(log, 500, "ready"));
      });`;
        const { stderr, ...ending } = await stopped(script, "SIGTERM", "SIGINT");
        expect(ending).toEqual({ code: 130, signal: null, stdout: "ready\nready\n" });
        expect(stderr).toMatch(
          /^Exit forced by a second signal, SIGINT\. Scope "tool" still has work \d+ ms after it was cancelled:\n {2}tool\/deaf \(its worker has not returned, \d+ ms old\)\n$/,
        );
      });

      it("a signal that arrives again at once counts once, also if it is another signal, and when the process was busy", async () => {
        const script = `
        const again = (signal, ms) => setTimeout(() => process.kill(process.pid, signal), ms);
        await main((scope) => {
          scope.onCancel(() => {
            process.kill(process.pid, "SIGINT");
            for (const end = Date.now() + 400; Date.now() < end; );
            for (const ms of [0, 5, 34]) again("SIGTERM", ms);
          });
          scope.defer(() => sleep(background, 100).then(() => log("cleaned up")));
          log("ready");
          return forever(scope);
        });
        log("end");
      `;
        expect(await stopped(script, "SIGINT")).toEqual({
          code: 130,
          signal: null,
          stdout: "ready\ncleaned up\nend\n",
          stderr: "",
        });
      });

      it.each([
        [
          "counts once as long as each comes shortly after the one before",
          3,
          100,
          "SIGINT",
          "cleaned up\nend\n",
          "",
        ],
        [
          "forces the exit when that never ends",
          10,
          200,
          "SIGTERM",
          "",
          "Exit forced by a second signal, SIGTERM.",
        ],
      ])("a signal that arrives again and again %s", async (_, times, ms, signal, stdout, stderr) => {
        // A timer that is due before the time for repetitions is over sends each in time, however busy the machine is.
        const script = `
        let left = ${times};
        process.on("SIGTERM", () => {
          if (left-- > 0) setTimeout(() => process.kill(process.pid, left === 0 ? "${signal}" : "SIGTERM"), ${ms});
          else finish();
        });
        let finish;
        const finished = new Promise((resolve) => { finish = resolve; });
        process.on("SIGINT", () => finish());
        await main((scope) => {
          scope.defer(() => finished.then(() => log("cleaned up")));
          log("ready");
          return forever(scope);
        });
        log("end");
      `;
        const ending = await stopped(script, "SIGTERM");
        expect(ending.stdout).toBe(`ready\n${stdout}`);
        expect(ending.stderr.split(" Scope ")[0]).toBe(stderr);
      });

      it("a signal that arrives again when main has ended does not cut short the code after it", async () => {
        const script = `
        await main((scope) => { log("ready"); return forever(scope); });
        process.kill(process.pid, "SIGTERM");
        await main(async (scope) => { await sleep(scope, 50); log("the next one"); });
        process.kill(process.pid, "SIGINT");
        setTimeout(() => log("end"), 50);
      `;
        expect(await stopped(script, "SIGTERM")).toMatchObject({
          code: 143,
          stdout: "ready\nthe next one\nend\n",
          stderr: "",
        });
      });

      it.each([
        ["the body", `await deaf();`, "tool (its body has not returned"],
        ["a cleanup", `scope.defer(deaf); await forever(scope);`, 'tool (a cleanup "deaf" has not finished'],
        [
          "a scope in a task",
          `await spawn(scope, (task) => withScope(task, { name: "inner" }, deaf), { name: "outer" });`,
          "tool/outer/inner (its body has not returned",
        ],
      ])("the end of the grace period forces the exit when %s is stuck", async (_, body, line) => {
        const script = `await main(async function tool(scope) { setTimeout(log, 20, "ready").unref(); ${body} }, { grace: 30 });`;
        const { code, stderr } = await stopped(script, "SIGINT");
        expect(code).toBe(130);
        expect(stderr).toMatch(
          /^Exit forced by the end of its grace period\. Scope "tool" still has work \d+ ms/,
        );
        expect(stderr).toContain(`ms after it was cancelled:\n  ${line}, `);
      });

      it("the grace period also ends a process that something outside the scope holds, after a signal", async () => {
        const script = `
        await main((scope) => { log("ready"); return forever(scope); }, { name: "tool", grace: 200 });
        log("end");
        setInterval(() => {}, 1_000);
      `;
        const { stderr, ...ending } = await stopped(script, "SIGTERM");
        expect(ending).toEqual({ code: 143, signal: null, stdout: "ready\nend\n" });
        expect(stderr).toMatch(/Scope "tool" has ended, but \d+ ms after .*: .*Timeout/);
      });

      it("rule 27: a diagnostics channel reports stuck work", async () => {
        const script = `
        const { subscribe } = process.getBuiltinModule("node:diagnostics_channel");
        subscribe("bough:stuck", ({ scope, tasks }) => log(scope.path, tasks.map(({ path }) => path).join()));
        await main((scope) => { spawn(scope, deaf); scope.cancel(); }, { name: "tool", grace: 10 });
      `;
        expect(await start(script).ending()).toMatchObject({ code: 1, stdout: "tool tool/deaf\n" });
      });

      it("no process that ends by itself is forced to, however short the grace period", async () => {
        const cancelled = `await main((scope) => { log("ready"); return forever(scope); }, { grace: 0 });`;
        expect(await stopped(cancelled, "SIGTERM")).toMatchObject({ code: 143, stderr: "" });
        const failed = start(`await main(() => { throw "bad"; }, { grace: 0 });`);
        expect(await failed.ending()).toMatchObject({ code: 1, stderr: "'bad'\n" });
        // As on a machine that is busy with other programs.
        for (const ms of [200, 400]) {
          const slow = `${cancelled} for (const end = Date.now() + ${ms}; Date.now() < end; );`;
          expect(await stopped(slow, "SIGTERM")).toMatchObject({ code: 143, stderr: "" });
        }
      });

      it("the grace period ends no process whose main succeeded, and none that has begun another main", async () => {
        const { code, stdout, stderr } = await start(`
        await main((scope) => { spawn(scope, async () => scope.cancel()); }, { grace: 20 });
        await new Promise((resolve) => setTimeout(resolve, 40));
        await main(() => { throw "bad"; }, { grace: 20 });
        await main(() => new Promise((resolve) => setTimeout(resolve, 60)));
        log("end");
      `).ending();
        expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: "end\n", stderr: "'bad'\n" });
      });

      it("a failure exits with 1 and is printed once, with the later ones", async () => {
        const { stderr, ...ending } = await start(`
        await main((scope) => {
          scope.defer(() => { throw new Error("the cleanup's error"); });
          scope.defer(() => log("cleanup"));
          spawn(scope, (task) => forever(task).catch(() => { throw new Error("the child's error"); }));
          throw new Error("the first error");
        });
        log("end");
      `).ending();
        expect(ending).toEqual({ code: 1, signal: null, stdout: "cleanup\nend\n" });
        const errors = stderr.split("\n").filter((line) => line.includes("error") && !line.includes(" at "));
        expect(errors).toEqual([
          "Error: the first error",
          "Suppressed: Error: the child's error",
          "Suppressed: Error: the cleanup's error",
        ]);
      });

      it("a failing cleanup after a signal exits with 1", async () => {
        const script = `await main((scope) => { scope.defer(() => { throw "dirty"; }); log("ready"); return forever(scope); });`;
        expect(await stopped(script, "SIGTERM")).toMatchObject({ code: 1, stderr: "'dirty'\n" });
      });

      it("a failure whose siblings are stuck is printed before the exit is forced", async () => {
        const { code, stderr } = await start(
          `await main((scope) => { spawn(scope, deaf); throw "bad"; }, { grace: 10, name: "tool" });`,
        ).ending();
        expect(code).toBe(1);
        expect(stderr).toMatch(/^'bad'\nExit forced .*\n {2}tool\/deaf /);
      });

      it("a cancellation without a signal is a failure when it cuts work short", async () => {
        const { code, stderr } = await start(
          `await main((scope) => { scope.cancel("why"); return forever(scope); });`,
        ).ending();
        expect(code).toBe(1);
        expect(stderr).toContain("[cause]: 'why'");
      });

      it("onError receives each failure, and the report of stuck work, instead of stderr", async () => {
        const script = `await main(async (scope) => {
        scope.defer(() => { throw "second"; });
        spawn(scope, async () => { await forever(scope).catch(() => {}); throw "first"; });
        log("ready");
      }, { name: "tool", onError: (error, task) => log(error, task.path, task.status) });`;
        expect(await stopped(script, "SIGTERM")).toMatchObject({
          code: 1,
          stdout: "ready\nfirst tool failed\nsecond tool failed\n",
          stderr: "",
        });
        const stuck = `await main(deaf, { grace: 10, onError: (error, task) => log(error.code, task.path) }); `;
        const late = `setTimeout(() => { log("ready"); }, 20);`;
        expect(await stopped(late + stuck, "SIGTERM")).toMatchObject({
          code: 143,
          stdout: "ready\nBOUGH_STUCK_TASKS deaf\n",
          stderr: "",
        });
      });

      it("an onError that throws has not handled it", async () => {
        const { code, stderr } = await start(
          `await main(() => { throw "first"; }, { onError: () => { throw "second"; } });`,
        ).ending();
        expect({ code, stderr }).toEqual({ code: 1, stderr: "'first'\nSuppressed: 'second'\n" });
      });

      it("an unhandled rejection stays one: Node ends the process", async () => {
        const { code, stdout, stderr } = await start(`await main(async (scope) => {
        scope.defer(() => log("not reached"));
        void Promise.reject(new Error("nobody's"));
        await forever(scope);
      });`).ending();
        expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
        expect(stderr).toContain("Error: nobody's");
      });

      it("refuses another main while one runs, and does not disturb that", async () => {
        const script = `await main(async (scope) => {
        await main(() => log("not reached")).catch((error) => log(error.name, error.code));
        log("ready");
        await forever(scope);
      });
      await main(() => log("the next one"));`;
        expect(await stopped(script, "SIGTERM")).toMatchObject({
          code: 143,
          stdout: "BoughError BOUGH_NESTED_MAIN\nready\nthe next one\n",
          stderr: "",
        });
      });

      it("output on its way to a slow pipe arrives, after a signal and after a failure", async () => {
        const size = 1_000_000;
        const child = start(`await main(async (scope) => {
        log("ready");
        await forever(scope).catch(() => {});
        process.stdout.write("x".repeat(${size}) + "\\n");
        throw "bad";
      });`);
        await child.printed("ready");
        child.stdout.pause();
        child.kill("SIGTERM");
        setTimeout(() => child.stdout.resume(), 100);
        const { code, stdout } = await child.ending();
        expect(code).toBe(1);
        expect(stdout).toHaveLength("ready\n".length + size + 1);
      });

      it("a closed pipe cancels the scope, as SIGPIPE would, and cleans up", async () => {
        const child = start(`await main(async (scope) => {
        scope.defer(() => console.error("cleanup", scope.reason.kind, scope.reason.cause));
        for (;;) { log("ready"); await sleep(scope, 1); }
      });`);
        await child.printed("ready");
        child.stdout.destroy();
        expect(await child.ending()).toMatchObject({
          code: 141,
          signal: null,
          stderr: "cleanup shutdown SIGPIPE\n",
        });
      });

      it("the exit code is 141, too, if the pipe was closed before the last output", async () => {
        const child = start(`
        await main(() => {
          const read = new Promise((resolve) => process.once("SIGUSR2", resolve));
          log("ready");
          return read;
        });
        log("nobody reads this");
      `);
        await child.printed("ready");
        await once(child.stdout.destroy(), "close");
        child.kill("SIGUSR2");
        expect(await child.ending()).toMatchObject({ code: 141, stderr: "" });
      });

      it("an error listener of the program's own is left to handle a closed pipe", async () => {
        const child = start(`
        let gone;
        process.stdout.on("error", (error) => { gone = error; });
        await main(async (scope) => {
          while (gone === undefined) { log("ready"); await sleep(scope, 1); }
          await sleep(scope, 10);
          console.error(gone.code, scope.state);
        });
      `);
        await child.printed("ready");
        child.stdout.destroy();
        expect(await child.ending()).toMatchObject({ code: 0, stderr: "EPIPE open\n" });
      });

      it("prints the errors that an inner scope has suppressed", async () => {
        const { stderr } = await start(`await main((scope) => withScope(scope, (inner) => {
          inner.defer(() => { throw "second"; });
          throw Object.assign(new Error("first"), { stack: "first" });
        }));`).ending();
        expect(stderr).toMatch(/first.*\nSuppressed: 'second'\n$/);
      });
    },
  );
}

describe("main() without a process", () => {
  it.each([
    [{ grace: -1 }, RangeError],
    [{ grace: "1" }, TypeError],
    [{ name: 1 }, TypeError],
    [{ onError: 1 }, TypeError],
    [{ signals: "SIGINT" }, TypeError],
    [{ signals: [2] }, TypeError],
    [{ signals: ["SIGINTERRUPT"] }, RangeError],
    [{ signals: ["SIGINT", "SIGKILL"] }, RangeError],
    [new AbortController().signal, TypeError],
    [null, TypeError],
  ])("rejects bad options: %j", async (options, type) => {
    const count = process.listenerCount("SIGINT");
    let called = false;
    const error = await rejection(main(() => void (called = true), options as MainOptions));
    expect(error).toBeInstanceOf(type);
    expect(String(error)).toMatch(/main: (grace|name|onError|signals|options) must be /);
    expect([called, process.listenerCount("SIGINT")]).toEqual([false, count]);
  });

  it("rejects a body that is not a function", async () => {
    expect(await rejection(main("body" as never))).toBeInstanceOf(TypeError);
  });
});
