import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Child, type Ending } from "../../test/support/child.js";
import { nodes } from "../../test/support/nodes.js";
import { scriptFolder, type ScriptFolder } from "../../test/support/run-script.js";

let scripts: ScriptFolder;
beforeAll(async () => {
  scripts = await scriptFolder("process");
});
afterAll(() => scripts.remove());

/** Runs `start` in a `main` that gets a SIGTERM, and whose cleanup says that it has run. */
const program = (start: string, before = ""): string => `
  ${before}
  await main(async function api(scope) {
    scope.defer(() => new Promise((resolve) => setTimeout(resolve, 20)));
    scope.defer(() => log("cleaned up"));
    ${start}
    setTimeout(() => process.kill(process.pid, "SIGTERM"), 20);
    await sleep(scope, Infinity);
  });`;

for (const node of nodes()) {
  describe.skipIf(!node.path)(`on ${node.label}`, { timeout: 60_000 }, () => {
    const run = (start: string, before?: string, flags: readonly string[] = []): Promise<Ending> =>
      new Child(node.path as string, [...flags, scripts.write(program(start, before))]).ending();

    it.each([
      ["an async timer callback", `setTimeout(async () => { await sleep(scope, 60_000); }, 1);`],
      [
        "an async callback with a scope",
        `setTimeout(async () => { await withScope(scope, (own) => sleep(own, 60_000)); }, 1);`,
      ],
      ["what follows a sleep", `sleep(scope, 60_000).then(() => log("awake"));`],
      ["Promise.all", `Promise.all([sleep(scope, 60_000), sleep(scope, 70_000)]);`],
      ["Promise.any", `Promise.any([sleep(scope, 60_000), sleep(scope, 70_000)]);`],
      [
        "a loop over a channel",
        `(async () => { for await (const one of createChannel().values(scope)) log(one); })();`,
      ],
      [
        "the signal of a real client",
        `scope.defer(() => server.closeAllConnections()); fetch("http://127.0.0.1:" + port, { signal: scope.signal }); await new Promise((resolve) => server.once("request", resolve));`,
      ],
    ])("rule 33: a shutdown is not ended by a cancellation that nobody awaits: %s", async (_, start) => {
      const server = `const { createServer } = await import("node:http");
        const server = createServer(() => undefined).listen(0, "127.0.0.1");
        await new Promise((resolve) => server.on("listening", resolve));
        server.unref();
        const { port } = server.address();`;
      expect(await run(start, server)).toMatchObject({ code: 143, stdout: "cleaned up\n", stderr: "" });
    });

    it("rule 33: a failure that is not awaited ends the process during a shutdown, too, as everywhere", async () => {
      const result = await run(`sleep(scope, 60_000).catch(() => { throw new TypeError("a mistake"); });`);
      expect(result).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("TypeError: a mistake") as string,
      });
    });

    it("rule 33: the program's own listener receives failures, and decides", async () => {
      const result = await run(
        `sleep(scope, 60_000).catch(() => { throw new TypeError("a mistake"); });`,
        `process.on("unhandledRejection", (error) => log("heard", error.message));`,
      );
      expect(result).toMatchObject({ code: 143, stdout: "cleaned up\nheard a mistake\n" });
    });

    it("rule 33: a program that has chosen how to treat unhandled rejections is not affected", async () => {
      const { stderr } = await run(`setTimeout(async () => { await sleep(scope, 60_000); }, 1);`, "", [
        "--unhandled-rejections=warn",
      ]);
      expect(stderr).toContain("UnhandledPromiseRejectionWarning");
    });

    it("rule 33: a main that has ended without an error leaves no listener", async () => {
      const { stdout } = await scripts.run(
        `await main((scope) => void scope.defer(() => 1)); log(process.listenerCount("unhandledRejection"));`,
        { node: node.path },
      );
      expect(stdout).toBe("0\n");
    });
  });
}
