import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Child } from "../../test/support/child.js";
import { scriptFolder, type ScriptFolder } from "../../test/support/run-script.js";

let scripts: ScriptFolder;
beforeAll(async () => {
  scripts = await scriptFolder("process", "http");
});
afterAll(() => scripts.remove());

it(
  "rule 33: a server that shuts down in a defer of main's answers what it has accepted",
  { timeout: 20_000 },
  async () => {
    // As in docs/process.md. The handler ends once the shutdown has begun.
    const child = new Child(process.execPath, [
      scripts.write(`
      const { createServer } = await import("node:http");
      await main(async function api(scope) {
        const server = createServer((request, response) => {
          const task = requestScope(request, response);
          response.write("accepted, ");
          scope.onCancel(() => sleep(task, 50).then(() => response.end("answered")));
        });
        const requests = serverScope(server);
        scope.defer(async () => {
          const { running, cancelled, stuck } = await requests.shutdown();
          log(running, cancelled, stuck.length);
        });
        server.listen(0, "127.0.0.1", () => log("port", server.address().port, "."));
        await sleep(scope, Infinity);
      });
    `),
    ]);
    try {
      await child.printed(" .");
      const [response] = (await once(get(`http://127.0.0.1:${child.output.split(" ")[1]}/`), "response")) as [
        IncomingMessage,
      ];
      child.kill("SIGTERM");
      expect(await text(response)).toBe("accepted, answered");
      expect(await child.ending()).toMatchObject({ code: 143, stderr: "" });
      expect(child.output).toContain("\n1 0 0\n");
    } finally {
      child.kill("SIGKILL");
    }
  },
);
